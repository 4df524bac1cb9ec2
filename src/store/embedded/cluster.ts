import { execFile, spawn } from 'node:child_process'
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EvtError, toError } from '../../core/errors.ts'
import { childrenOf, eventually, isPostmaster, isRunning } from './process.ts'
import type { RunAs } from './run-as.ts'

/** PostgreSQL's programs; absolute paths that the user of the server can reach. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

export interface ClusterOptions {
  readonly binaries: Binaries
  /** PGDATA. Its parent must exist and be reachable for the user of the server. */
  readonly dataDirectory: string
  readonly runAs: RunAs
  /** Beside PGDATA: it survives this process, as the server does when this process is killed. */
  readonly logFile: string
  /** `name=value` of postgresql.conf. */
  readonly settings: readonly string[]
}

/** What a running postmaster says about itself in postmaster.pid. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** Absolute: where its local socket lies; undefined when it has none. */
  readonly socketDirectory?: string
}

const run = promisify(execFile)

/** Makes PGDATA with a superuser `postgres` and this password (scram). Throws `config` with what initdb said. */
export async function initCluster(
  options: ClusterOptions,
  password: string,
  extra: readonly string[] = [],
): Promise<void> {
  const { dataDirectory, runAs, binaries } = options
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  const passwordFile = `${dataDirectory}.password`
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  if (runAs) for (const path of [dataDirectory, passwordFile]) chownSync(path, runAs.uid, runAs.gid)
  const args = ['--pgdata', dataDirectory, '--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8']
  try {
    await run(binaries.initdb, [...args, `--pwfile=${passwordFile}`, '--no-instructions', ...extra], {
      ...runAs,
      cwd: dirname(dataDirectory),
    })
  } catch (error) {
    throw new EvtError('config', `cannot make a database in ${dataDirectory}: ${lastLine(toError(error).message)}`, {
      hint: `check the rights to ${dirname(dataDirectory)} and the free space on its disk`,
      cause: error,
    })
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/**
 * Starts the server on 127.0.0.1:`port` and waits until it accepts connections, crash recovery included. It is detached: Ctrl-C in
 * the terminal does not reach it, and it outlives this process. Throws `connect` with what the server said.
 */
export async function startCluster(options: ClusterOptions, port: number): Promise<Postmaster> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const failure = await spawnPostmaster(options, port)
    if (!failure) return readPostmaster(options.dataDirectory) ?? { pid: 0, port }
    // After a kill -9 of the postmaster its backends need a moment to notice.
    const lingering = /shared memory block|is still in use|recovering from/.test(failure)
    if (!lingering || performance.now() > deadline) throw startFailed(options, port, failure)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Undefined: it is ready. Otherwise what it said before it ended. */
async function spawnPostmaster(options: ClusterOptions, port: number): Promise<string | undefined> {
  dropStalePidFile(options.dataDirectory)
  const log = openSync(options.logFile, 'w', 0o600)
  const sockets = `unix_socket_directories=${canHoldSocket(options.dataDirectory) ? options.dataDirectory : ''}`
  const settings = ['listen_addresses=127.0.0.1', sockets, `port=${port}`, ...options.settings]
  const args = ['-D', options.dataDirectory, ...settings.flatMap((setting) => ['-c', setting])]
  const child = spawn(options.binaries.postgres, args, {
    ...options.runAs,
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let ended: string | undefined
  child.once('error', (error) => {
    ended = error.message
  })
  const onExit = () => {
    ended ??= readFileSync(options.logFile, 'utf8')
  }
  child.once('exit', onExit)
  const ready = () => ended !== undefined || isReady(options.dataDirectory, child.pid)
  if (!(await eventually(ready, 120_000))) ended = 'it was not ready after two minutes'
  // Later it may end, and its log be gone, without any of this mattering.
  child.off('exit', onExit)
  child.unref()
  return ended
}

function isReady(dataDirectory: string, pid: number | undefined): boolean {
  const lines = readPidFile(dataDirectory)
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

/** PostgreSQL trusts a pid file whose id lives again as another process of its user (containers reuse small ids). */
function dropStalePidFile(dataDirectory: string): void {
  const pid = Number(readPidFile(dataDirectory)[0])
  if (pid && !isPostmaster(pid, dataDirectory)) rmSync(join(dataDirectory, 'postmaster.pid'), { force: true })
}

function readPidFile(dataDirectory: string): readonly string[] {
  const path = join(dataDirectory, 'postmaster.pid')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
}

/** The system has room for a short path only, and PostgreSQL reads commas and quotes as a list. */
function canHoldSocket(directory: string): boolean {
  const longest = 103
  return process.platform !== 'win32' && !/[,"]/.test(directory) && join(directory, '.s.PGSQL.65535').length <= longest
}

/** The running postmaster of a data directory; undefined when there is none, or only what a crash left of it. */
export function readPostmaster(dataDirectory: string): Postmaster | undefined {
  const lines = readPidFile(dataDirectory)
  const [pid, , , port] = lines.map(Number)
  if (!pid || !port || !isPostmaster(pid, dataDirectory)) return undefined
  const socketDirectory = lines[4]?.trim()
  return socketDirectory?.startsWith('/') ? { pid, port, socketDirectory } : { pid, port }
}

/**
 * Its URL. Over the local socket, where there is one, a statement costs about a third less of both sides' time than over
 * the loopback; tools that cannot read `host` from the query reach it at 127.0.0.1 all the same.
 */
export function urlOfPostmaster(
  { port, socketDirectory }: Postmaster,
  { password, database }: { readonly password: string; readonly database: string },
): string {
  const host = socketDirectory === undefined ? '' : `?host=${encodeURIComponent(socketDirectory)}`
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}${host}`
}

/** Ends sessions and stops; harder after ten seconds. Resolves when the process is gone. */
export async function stopCluster(pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!isRunning(pid)) return
    const all = [pid, ...childrenOf(pid)]
    process.kill(pid, signal)
    for (const one of all) wake(one)
    if (await eventually(() => !isRunning(pid), 10_000)) return
  }
}

/** One that was stopped (Ctrl-Z, a debugger, SIGSTOP) hears of nothing until it goes on. */
function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended meanwhile.
  }
}

function startFailed(options: ClusterOptions, port: number, log: string): EvtError {
  const line = log.split('\n').find((text) => /FATAL|ERROR|could not/.test(text)) ?? lastLine(log)
  const reason = line.replace(/^.*?(FATAL|ERROR|LOG|WARNING): {2}/, '')
  if (/Address already in use|could not create any TCP\/IP sockets/.test(log)) {
    return new EvtError('connect', `cannot start PostgreSQL: port ${port} of 127.0.0.1 is taken`, {
      hint: `stop what listens there (\`ss -ltnp 'sport = ${port}'\` names it), or choose another port`,
    })
  }
  return new EvtError('connect', `cannot start PostgreSQL in ${options.dataDirectory}: ${reason}`, {
    hint: `the server's own words are in ${options.logFile}`,
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

/** A port of the loopback that was free a moment ago; `wanted` if that is free. */
export async function freePort(wanted = 0): Promise<number> {
  const free = await tryPort(wanted)
  return free ?? (await tryPort(0)) ?? 0
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
