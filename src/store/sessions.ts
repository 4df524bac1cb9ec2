import pg from 'pg'
import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { keptAlive, placeOf, type Store } from './connection.ts'
import { isOutage, type Place, translateError } from './errors.ts'

/** One connection for one transaction of handlers. Statements may be sent without waiting for the ones before. */
export interface Session {
  readonly sql: SqlExecutor
  /** The connection is gone or about to go: what was tried is a matter of the store, not of the event. */
  readonly broken: boolean
  /**
   * From here on evt's own statements wait for locks: 'timeout' when one is not free within `lockWaitMs`. The server
   * ends the transaction when its client has been silent for `idleMs`: a process that froze must not keep its locks.
   */
  begin(limits: { readonly idleMs: number; readonly lockWaitMs: number }): Promise<void>
  /** How long statements wait for locks; undefined: as long as the server says, which is what handlers expect. */
  limitLockWait(ms: number | undefined): Promise<void>
  /** Shows the server that the client lives, when no statement has done so lately. */
  keepAlive(): Promise<void>
  /** Throws when the server answered with a rollback, or when the connection went: then the outcome is unknown. */
  commit(): Promise<void>
  rollback(): Promise<void>
  /** `open`: everything so far could be committed. `failed`: a statement failed. `none`: someone ended the transaction. */
  state(): 'open' | 'failed' | 'none'
  /** Back to the pool. */
  release(): void
  /** Ends the server's side too, also in the middle of a statement, so that nothing can be committed and no lock stays. */
  terminate(): Promise<void>
}

export interface Sessions {
  /** Throws `connect`. */
  open(): Promise<Session>
  /** All that are in use. */
  terminate(): Promise<void>
  close(): Promise<void>
}

/** A pool of its own: handlers that wait for locks never take the connections of relay and publishers. */
export function createSessions(
  store: Store,
  options: { readonly max: number; readonly applicationName: string },
): Sessions {
  const place = placeOf(store.connectionString)
  const pool = new pg.Pool({
    connectionString: store.connectionString,
    application_name: options.applicationName,
    max: options.max,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 5_000,
    ...keptAlive,
    pipeline: true,
  } as pg.PoolConfig)
  pool.on('error', () => {})
  // For its whole life: a client may fail between two owners, and an error that nobody hears ends the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  const statements = createStatementNames()
  const inUse = new Set<Session>()
  return {
    async open() {
      const client = await pool.connect().catch((error: unknown) => {
        throw translateError(error, place, 'connect to')
      })
      const onLeft = () => void inUse.delete(session)
      const session = createSession(client as PipelinedClient, place, { store, statements, onLeft })
      inUse.add(session)
      return session
    },
    async terminate() {
      await Promise.all([...inUse].map((session) => session.terminate()))
    },
    close: () => pool.end(),
  }
}

/** What pg 8.23 has and its types do not say. */
type PipelinedClient = pg.PoolClient & { getTransactionStatus(): string | null; readonly processID: number }

interface Surroundings {
  readonly store: Store
  readonly statements: StatementNames
  readonly onLeft: () => void
}

/** A handler that talks to others between its statements must not make the server believe that we froze. */
const silentMs = 5_000
const mostMs = 2 ** 31 - 1

function createSession(client: PipelinedClient, place: Place, { store, statements, onLeft }: Surroundings): Session {
  let usedMs = performance.now()
  let broken = false
  let left = false
  const onGone = () => {
    broken = true
  }
  client.on('error', onGone)
  client.on('end', onGone)

  const leave = (destroy: boolean) => {
    if (left) return
    left = true
    client.off('error', onGone)
    client.off('end', onGone)
    client.release(destroy)
    onLeft()
  }
  const send = async (text: string, values?: readonly unknown[]) => {
    usedMs = performance.now()
    try {
      const name = values && statements.nameOf(text)
      if (name) return await client.query({ name, text, values: values as unknown[] })
      return await client.query(text, values as unknown[] | undefined)
    } catch (error) {
      const translated = translateError(error, place)
      if (isOutage(translated)) broken = true
      throw translated
    }
  }
  return {
    sql: { query: send },
    get broken() {
      return broken
    },
    async begin({ idleMs, lockWaitMs }) {
      const idle = Math.min(idleMs + silentMs, mostMs)
      await send(
        `begin; set local idle_in_transaction_session_timeout = ${idle}; set local lock_timeout = ${lockWaitMs}`,
      )
    },
    async limitLockWait(ms) {
      await send(`set local lock_timeout = ${ms ?? 'default'}`)
    },
    async keepAlive() {
      if (performance.now() - usedMs > silentMs) await send('select')
    },
    async commit() {
      const { command } = await send('commit')
      if (command !== 'COMMIT')
        throw new EvtError('internal', 'cannot commit: the transaction had failed and was rolled back')
    },
    async rollback() {
      await send('rollback')
    },
    state() {
      const status = client.getTransactionStatus()
      if (status === 'T') return 'open'
      return status === 'E' ? 'failed' : 'none'
    },
    release: () => leave(broken),
    async terminate() {
      if (left) return
      const { processID } = client
      broken = true
      leave(true)
      // Where the server is gone there is nothing left to end.
      await store.query('select pg_terminate_backend($1)', [processID]).catch(() => {})
    },
  }
}

interface StatementNames {
  nameOf(text: string): string | undefined
}

/** Statements that are seen again are prepared: parsing and planning cost more than running them. */
function createStatementNames(): StatementNames {
  const most = 500
  const seen = new Map<string, string | undefined>()
  let named = 0
  return {
    nameOf(text) {
      if (seen.has(text)) {
        const known = seen.get(text)
        if (known || named >= most) return known
        named += 1
        const name = `evt_${named}`
        seen.set(text, name)
        return name
      }
      // Texts with values pasted in never come again: they must not fill the map.
      if (seen.size >= most * 2) for (const [old, name] of seen) if (!name) seen.delete(old)
      seen.set(text, undefined)
      return undefined
    },
  }
}
