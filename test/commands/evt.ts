import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { dispatch, type World } from '../../src/commands/line/dispatch.ts'
import { findCommand } from '../../src/commands/line/find.ts'
import { EvtError } from '../../src/core/errors.ts'
import { exitCodes, outcomeOf } from '../../src/output/exit-codes.ts'

export interface Ran {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** EVT_STORE. */
  readonly store?: string | undefined
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly signal?: AbortSignal
}

export const main = resolve(import.meta.dirname, '../../src/main.ts')

/** A directory in which no configuration and no embedded store is found; removed when `dispose` is called. */
export function createNowhere(): { readonly path: string; dispose(): void } {
  const path = mkdtempSync(join(tmpdir(), 'evt-nowhere-'))
  return { path, dispose: () => rmSync(path, { recursive: true, force: true }) }
}

const environment = (cwd: string, { store, env }: RunOptions): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: cwd,
  ...(store ? { EVT_STORE: store } : {}),
  ...env,
})

/** One command in this process: everything but main.ts, and 200 ms less than a process of its own. */
export async function runHere(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const cwd = options.cwd ?? tmpdir()
  // `os.homedir()` asks the real environment: a store that somebody runs on this machine must not be found.
  process.env.HOME = cwd
  const [stdout, stderr] = [collect(), collect()]
  const stdin = new PassThrough()
  stdin.end(options.stdin ?? '')
  const world = {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: environment(cwd, options),
    cwd,
    pid: process.pid,
    version: '0.0.0',
    signal: options.signal ?? new AbortController().signal,
    now: Date.now,
  } as unknown as World
  const exit = await exitOf(words, world, stderr)
  return { exit, stdout: stdout.text(), stderr: stderr.text() }
}

async function exitOf(words: readonly string[], world: World, stderr: ReturnType<typeof collect>): Promise<number> {
  try {
    const found = await findCommand(words)
    if (found.kind !== 'command') throw new Error(`${words.join(' ')} runs no command`)
    return exitCodes[await dispatch(found.name, found.words, world)].code
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    stderr.stream.write(`${error.message}\n${error.hint ?? ''}\n`)
    return exitCodes[outcomeOf(error.code)].code
  }
}

function collect() {
  const stream = new PassThrough()
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

export interface Running {
  readonly ended: Promise<Ran>
  /** Resolves when stdout and stderr together match; rejects when the process ends before. */
  said(pattern: RegExp): Promise<void>
  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGKILL'): void
  readonly stdout: NodeJS.ReadableStream
}

/** The real thing, in a process of its own. */
export function start(words: readonly string[], options: RunOptions = {}): Running {
  const cwd = options.cwd ?? tmpdir()
  const { NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [main, ...words], {
    cwd,
    env: { ...environment(cwd, options), NODE_COMPILE_CACHE },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  const listeners = new Set<() => void>()
  const heard = () => {
    for (const listener of listeners) listener()
  }
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    heard()
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
    heard()
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const ended = new Promise<Ran>((done) => {
    child.on('close', (code, signal) => done({ exit: code ?? (signal ? -1 : 0), stdout, stderr }))
  })
  return {
    ended,
    stdout: child.stdout,
    signal: (name) => void child.kill(name),
    said: (pattern) =>
      new Promise((done, fail) => {
        const check = () => pattern.test(stdout + stderr) && done()
        listeners.add(check)
        void ended.then((ran) =>
          fail(new Error(`ended with ${ran.exit} before it said ${pattern}: ${ran.stdout}${ran.stderr}`)),
        )
        check()
      }),
  }
}

export const run = (words: readonly string[], options: RunOptions = {}): Promise<Ran> => start(words, options).ended
