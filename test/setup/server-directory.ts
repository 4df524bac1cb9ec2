import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { readPostmaster, stopCluster } from '../../src/store/embedded/cluster.ts'
import { childrenOf, eventually, isRunning, startOf } from '../../src/store/embedded/process.ts'

/**
 * Each server has a directory of its own here, `<pid of its owner>-…`, so that a later run can clean up after a kill -9. In memory
 * where there is enough: cloning a database is writing 300 files, and a broker waits for the disk at every confirm.
 */
const onDisk = join(tmpdir(), 'evt-test-servers')
const inMemory = '/dev/shm/evt-test-servers'
/** Owner of what no run sweeps away. */
export const keptOwner = 'kept'
const enoughMemoryBytes = 4 * 1024 ** 3

/** In the directory of a server that runs in Docker: the name of its Compose project. */
export const composeFile = 'compose-project'

export interface DirectoryOptions {
  /** Default: this process, until it ends. */
  readonly owner?: string
  /** On the disk, even where there is memory. */
  readonly durable?: boolean
}

export function makeServerDirectory(options: DirectoryOptions = {}): string {
  const base = options.durable ? onDisk : fastest()
  mkdirSync(base, { recursive: true, mode: 0o755 })
  const directory = mkdtempSync(join(base, `${options.owner ?? process.pid}-`))
  // The server's user has to reach its data through it.
  chmodSync(directory, 0o755)
  return directory
}

function fastest(): string {
  if (!existsSync('/dev/shm')) return onDisk
  const { bavail, bsize } = statfsSync('/dev/shm')
  return bavail * bsize > enoughMemoryBytes ? inMemory : onDisk
}

/** Writes down that this process belongs to the server of `directory`. Its start tells it from a later process of its id. */
export function notePid(directory: string, pid: number): void {
  appendFileSync(join(directory, 'pids'), `${pid} ${startOf(pid) ?? '?'}\n`)
}

/** The noted processes that still run, and all that these have started. */
export function processesOf(directory: string): readonly number[] {
  return notedIn(directory).flatMap(familyOf)
}

/** The process of the server itself, while it runs; of one in Docker there is none. */
export function mainProcessOf(directory: string): number | undefined {
  return readPostmaster(join(directory, 'data'))?.pid ?? notedIn(directory).at(-1)
}

function notedIn(directory: string): readonly number[] {
  const file = join(directory, 'pids')
  if (!existsSync(file)) return []
  const noted = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return noted.flatMap((line) => {
    const [pid, start] = line.split(' ')
    return isRunning(Number(pid)) && (startOf(Number(pid)) ?? '?') === start ? [Number(pid)] : []
  })
}

export function familyOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)]
}

/** Ends the server of this directory, whatever it is, and removes its data. */
export async function removeServer(directory: string): Promise<void> {
  const postmaster = readPostmaster(join(directory, 'data'))
  if (postmaster) await stopCluster(postmaster.pid)
  await endProcesses(processesOf(directory))
  if (runsInDocker(directory)) endProject(readFileSync(join(directory, composeFile), 'utf8'))
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
}

/** Whether a container was started for this directory. */
export function runsInDocker(directory: string): boolean {
  return existsSync(join(directory, composeFile))
}

function endProject(name: string): void {
  execFileSync('docker', ['compose', '-p', name, 'down', '--volumes', '--timeout', '1'], {
    stdio: 'ignore',
    timeout: 60_000,
  })
}

async function endProcesses(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGKILL')
  if (!(await eventually(() => !pids.some(isRunning), 20_000))) throw new Error(`processes survived: ${pids.join(' ')}`)
}

/** False when the process was gone before. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** The servers of this process. */
export function ownDirectories(): readonly string[] {
  return allDirectories().filter((directory) => ownerOf(directory) === String(process.pid))
}

/** Stops and removes what runs left whose process is gone (killed with -9): found by their own pid files. */
export async function sweepLeftovers(): Promise<void> {
  const dead = allDirectories().filter((directory) => {
    const owner = ownerOf(directory)
    return owner !== keptOwner && !isRunning(Number(owner))
  })
  // What cannot be ended (another user's, or a Docker that is away) stays noted: the next run tries again.
  await Promise.allSettled(dead.map(removeServer))
}

function allDirectories(): readonly string[] {
  return [onDisk, inMemory].filter(existsSync).flatMap((base) => readdirSync(base).map((name) => join(base, name)))
}

function ownerOf(directory: string): string {
  return basename(directory).split('-')[0] ?? ''
}
