import pg from 'pg'
import { EvtError, toError } from '../core/errors.ts'
import { readsAsMeant, redactUrl } from '../core/mask.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type Place, translateError } from './errors.ts'
import { recognized } from './recognize.ts'

/** The oldest PostgreSQL that has everything evt's SQL uses. */
const oldestMajor = 14

/**
 * For every connection. A peer that vanished without a word, a pulled cable or a failover, shows only to who asks: without probes an
 * idle connection stands for hours.
 */
export const keptAlive = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const

/** For connections whose statements are always short: one without an answer for so long is lost, and so is its connection. */
export const shortStatements = { ...keptAlive, query_timeout: 30_000 } as const

export interface StoreOptions {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  /** Most connections at once; default 10. */
  readonly max?: number
  /** How long one attempt to connect may take; default 5,000 ms. */
  readonly connectTimeoutMs?: number
}

/** A pool of connections to one database. Errors about the server or evt's schema arrive as EvtError. */
export interface Store extends SqlExecutor {
  /** For messages: the password is hidden. */
  readonly url: string
  /** For another process or a dedicated client: with the password; never print it. */
  readonly connectionString: string
  /** For what needs a client of its own (LISTEN, COPY, cursors). */
  readonly pool: pg.Pool
  /** As PostgreSQL says it: 180004 is 18.4. */
  readonly serverVersion: number
  /** Commits when `work` resolves, rolls back when it throws; the error of `work` is thrown as it is. Never resolves without having committed. */
  transaction<T>(work: (sql: SqlExecutor) => Promise<T>): Promise<T>
  /** Idempotent. Waits for queries that run; afterwards every call throws `closed`. */
  close(): Promise<void>
}

/** The driver keeps the socket open when it gives up by itself while it logs in: then the server waits for it for a minute. */
class LeavingClient extends pg.Client {
  override connect(): Promise<this>
  override connect(callback: (error: Error) => void): void
  override connect(callback?: (error: Error) => void): Promise<this> | undefined {
    const leave = (error: Error | null) => {
      if (error) (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    }
    if (callback === undefined)
      return super.connect().catch((error: Error) => {
        leave(error)
        throw error
      }) as Promise<this>
    super.connect((error: Error) => {
      leave(error)
      callback(error)
    })
    return undefined
  }
}

/**
 * Connects once to learn the server's version. Throws `connect` (naming host and database), `usage` for a URL that is
 * none, `unsupported` for a server that is too old.
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  const place = placeOf(url)
  const pool = new pg.Pool({
    Client: LeavingClient,
    connectionString: url,
    application_name: options.applicationName,
    max: options.max ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    ...keptAlive,
  })
  // An idle client that loses its server would otherwise end the process; the next query reports what is wrong.
  pool.on('error', () => {})
  // So would a client that is cut while it is handed out, when nobody listens yet.
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    const serverVersion = await recognized(readServerVersion(pool, place), place)
    return createStore(pool, place, url, serverVersion)
  } catch (error) {
    await pool.end()
    throw translateError(error, place, 'connect to')
  }
}

/** Host, database and user of a PostgreSQL URL, to be named in messages. Throws `usage`. */
export function placeOf(url: string): Place {
  const refuse = (reason: string, hint: string) =>
    new EvtError('usage', `cannot use ${redactUrl(url)}: ${reason}`, { hint })
  const encode = 'percent-encode what is special in it: / is %2F, # is %23, @ is %40, % is %25'
  if (!readsAsMeant(url)) throw refuse('its user or password ends at a raw character', encode)
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'postgres:' && parsed?.protocol !== 'postgresql:')
    throw refuse('it is no PostgreSQL URL', 'write it as postgres://user:password@host:5432/database')
  try {
    const [user, path] = [parsed.username, parsed.pathname.slice(1), parsed.password].map(decodeURIComponent)
    const database = path || user || 'the default database'
    return { url: redactUrl(url), host: parsed.host || 'the local socket', database, user: user || 'the default user' }
  } catch (error) {
    throw refuse(toError(error).message, encode)
  }
}

async function readServerVersion(pool: pg.Pool, place: Place): Promise<number> {
  const { rows } = await pool.query<{ version: number }>("select current_setting('server_version_num')::int as version")
  const version = rows[0]?.version ?? 0
  if (version >= oldestMajor * 10_000) return version
  throw new EvtError('unsupported', `cannot use ${place.url}: PostgreSQL ${Math.floor(version / 10_000)} is too old`, {
    hint: `evt needs PostgreSQL ${oldestMajor} or newer`,
  })
}

function createStore(pool: pg.Pool, place: Place, connectionString: string, serverVersion: number): Store {
  let closing: Promise<void> | undefined
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closing) throw new EvtError('closed', `cannot use ${place.url}: the store is closed`)
    return work()
  }
  return {
    url: place.url,
    connectionString,
    pool,
    serverVersion,
    query: (text, values) => guard(() => executorOf(pool, place).query(text, values)),
    transaction: (work) => guard(() => inTransaction(pool, place, work)),
    close: () => {
      closing ??= pool.end()
      return closing
    },
  }
}

function executorOf(client: pg.Pool | pg.PoolClient, place: Place): SqlExecutor {
  return {
    async query(text, values) {
      try {
        return await client.query(text, values as unknown[] | undefined)
      } catch (error) {
        throw translateError(error, place)
      }
    },
  }
}

async function inTransaction<T>(pool: pg.Pool, place: Place, work: (sql: SqlExecutor) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translateError(error, place, 'connect to')
  })
  // Without a listener, a connection lost between two statements of `work` would end the process.
  const onError = () => {}
  client.on('error', onError)
  let broken = false
  try {
    const sql = executorOf(client, place)
    await sql.query('begin')
    const result = await work(sql)
    const { command } = (await client.query('commit')) as { command?: string }
    // What PostgreSQL answers where a statement had failed and `work` went on all the same.
    if (command === 'ROLLBACK')
      throw new EvtError('internal', 'cannot commit: a statement had failed, and everything was rolled back')
    return result
  } catch (error) {
    broken = await client.query('rollback').then(
      () => false,
      () => true,
    )
    throw error
  } finally {
    client.off('error', onError)
    client.release(broken)
  }
}
