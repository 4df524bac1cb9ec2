import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { EvtError, toError } from '../../core/errors.ts'

/** What is written beside the data directory, and kept when the server stops. */
export interface ServerState {
  /** PGDATA: below the project, or elsewhere where the server's user cannot reach the project. */
  readonly dataDirectory: string
  /** The last port; taken again when it is free, so that a saved URL goes on working. */
  readonly port?: number
}

/** `.evt/postgres` of one project. */
export interface Home {
  readonly directory: string
  readonly passwordFile: string
  readonly stateFile: string
  readonly lockFile: string
  readonly usersDirectory: string
  /** Short and stable: names this project's files elsewhere. */
  readonly key: string
}

/**
 * The project that `cwd` is in: the nearest directory, up to the git root, that has `.evt` already; else the git root; else
 * `cwd` itself.
 */
export function projectOf(cwd: string): string {
  const start = resolve(cwd)
  let root: string | undefined
  for (let at = start; ; at = dirname(at)) {
    if (isOurs(join(at, '.evt'))) return at
    if (existsSync(join(at, '.git'))) root = at
    if (root || dirname(at) === at) return root ?? start
  }
}

/** A directory that somebody else put above us (in /tmp, say) is not our project. */
function isOurs(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isDirectory() === true && (process.getuid === undefined || found.uid === process.getuid())
}

export function homeOf(project: string): Home {
  const directory = join(project, '.evt', 'postgres')
  return {
    directory,
    passwordFile: join(directory, 'password'),
    stateFile: join(directory, 'server.json'),
    lockFile: join(directory, 'starting.lock'),
    usersDirectory: join(directory, 'users'),
    key: createHash('sha256').update(project).digest('hex').slice(0, 16),
  }
}

/** Makes `.evt/postgres`, ignored by git. Throws `config` where this user may not write. */
export function createHome(home: Home): void {
  try {
    mkdirSync(home.directory, { recursive: true })
    const ignore = join(home.directory, '..', '.gitignore')
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n')
    accessSync(home.directory, constants.W_OK)
    // The server's user has to reach its data through it; the data itself is readable by that user only.
    chmodSync(home.directory, 0o755)
  } catch (error) {
    throw new EvtError('config', `cannot write ${home.directory}: ${toError(error).message}`, {
      hint: 'run evt in a directory that you may write, or name a server of yours with a URL',
      cause: error,
    })
  }
}

/** Undefined when evt never started a server here, or another user did. */
export function readState(home: Home): ServerState | undefined {
  try {
    return JSON.parse(readFileSync(home.stateFile, 'utf8')) as ServerState
  } catch {
    // Absent, not readable for us, or cut off by a full disk: the same as none.
    return undefined
  }
}

/** Replaced as a whole: a reader never sees half of it. */
export function writeState(home: Home, state: ServerState): void {
  writeFileSync(`${home.stateFile}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 })
  renameSync(`${home.stateFile}.new`, home.stateFile)
}
