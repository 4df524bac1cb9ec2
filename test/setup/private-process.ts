import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, isRunning } from '../../src/store/embedded/process.ts'
import { familyOf, notePid, removeServer, signal } from './server-directory.ts'

/** A server of this test alone: it may be killed and restarted. The caller stops it. */
export interface PrivateBroker {
  /** Without TLS, over the loopback, as somebody who may do everything. */
  readonly url: string
  readonly port: number
  /** Changes with `restart`. */
  readonly pid: number
  /** Holds data, log and pid file. */
  readonly directory: string
  /** Sends the signal and waits until the server and its children are gone (SIGSTOP and SIGCONT: returns at once). */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again on the same ports and data, after `kill` or instead of it; ready when this resolves. */
  restart(): Promise<void>
  /** Stops it and removes its data. Idempotent. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface Recipe {
  readonly name: string
  readonly directory: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Does what a client would; resolves to false or rejects while the server is not there yet. */
  ready(): Promise<boolean>
}

export interface RunningServer extends Omit<PrivateBroker, 'url' | 'port' | 'directory'> {}

const startWithinMs = 100_000
const endWithinMs = 20_000

/** Starts a process in a group of its own, so that a Ctrl-C at the terminal leaves it to us, and notes its id. */
export function spawnNoted(directory: string, command: string, args: readonly string[], env = process.env): number {
  const log = openSync(join(directory, 'log'), 'a')
  const child = spawn(command, args, { cwd: directory, env, detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  // What could not start has no pid: reported below.
  child.on('error', () => undefined)
  child.unref()
  if (!child.pid) throw new Error(`cannot start ${command}`)
  notePid(directory, child.pid)
  return child.pid
}

/** The caller has made the directory; it is removed when the server does not start. */
export async function runServer(recipe: Recipe): Promise<RunningServer> {
  let pid = await startOrRemove(recipe)
  const stop = (): Promise<void> => removeServer(recipe.directory)
  return {
    get pid() {
      return pid
    },
    kill: (name) => kill(recipe, pid, name),
    async restart() {
      if (isRunning(pid)) await endGently(recipe, pid)
      pid = await withRetries(() => startOnce(recipe))
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function startOrRemove(recipe: Recipe): Promise<number> {
  try {
    return await startOnce(recipe)
  } catch (error) {
    await removeServer(recipe.directory)
    throw error
  }
}

async function startOnce(recipe: Recipe): Promise<number> {
  const pid = spawnNoted(recipe.directory, recipe.command, recipe.args, recipe.env)
  const deadline = performance.now() + startWithinMs
  while (!(await isReady(recipe))) {
    const late = performance.now() > deadline
    if (late || !isRunning(pid)) throw new Error(`${recipe.name} ${late ? 'is not ready' : 'ended'}:\n${logOf(recipe)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return pid
}

async function isReady(recipe: Recipe): Promise<boolean> {
  try {
    return await recipe.ready()
  } catch {
    // Not yet: the deadline of the caller decides.
    return false
  }
}

function logOf({ directory }: Recipe): string {
  return readFileSync(join(directory, 'log'), 'utf8').split('\n').slice(-30).join('\n')
}

async function kill(recipe: Recipe, pid: number, name: NodeJS.Signals): Promise<void> {
  const all = familyOf(pid)
  signal(pid, name)
  if (name === 'SIGSTOP' || name === 'SIGCONT') return
  if (!(await eventually(() => !all.some(isRunning), endWithinMs))) throw new Error(`${recipe.name} survived ${name}`)
}

async function endGently(recipe: Recipe, pid: number): Promise<void> {
  // A stopped process would not hear the other signal.
  signal(pid, 'SIGCONT')
  await kill(recipe, pid, 'SIGTERM')
}

/** Between finding free ports and listening on them, somebody else may have taken one; and that of a killed process is free a moment later. */
export async function withRetries<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start()
    } catch (error) {
      if (attempt === 5 || !/in use|EADDRINUSE|eaddrinuse|BindException/i.test(String(error))) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
