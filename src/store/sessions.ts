import { nextTick } from 'node:process'
import type { Writable } from 'node:stream'
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
  /** The server ends the transaction when its client has been silent for `idleMs`: a process that froze must not keep its locks. */
  begin(idleMs: number): Promise<void>
  /** From here on statements of this transaction wait so long for locks, and then throw `timeout`. Before, as long as the server says. */
  limitLockWait(ms: number): Promise<void>
  /** Shows the server that the client lives, when no statement has done so lately. */
  keepAlive(): Promise<void>
  /** Throws when the server answered with a rollback, or when the connection went: then the outcome is unknown. */
  commit(): Promise<void>
  rollback(): Promise<void>
  /** `open`: everything so far could be committed. `failed`: a statement failed. `none`: someone ended the transaction. */
  state(): 'open' | 'failed' | 'none'
  /** For the next transaction. Once, by whoever opened it. */
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
    connectionTimeoutMillis: 5_000,
    ...keptAlive,
    pipeline: true,
  } as pg.PoolConfig)
  pool.on('error', () => {})
  // For its whole life: a client may fail between two owners, and an error that nobody hears ends the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  const statements = createStatementNames()
  const inUse = new Set<Session>()
  /** The last one that was used is used next: the others may go. */
  const spare: { readonly session: OwnSession; readonly sinceMs: number }[] = []
  let closed = false
  let sweeping: NodeJS.Timeout | undefined

  function onReleased(session: OwnSession): void {
    inUse.delete(session)
    if (session.broken || closed) {
      session.end()
      return
    }
    spare.push({ session, sinceMs: performance.now() })
    sweeping ??= setTimeout(sweep, spareMs).unref()
  }

  function sweep(): void {
    sweeping = undefined
    const before = performance.now() - spareMs
    for (const { session } of spare.splice(0, spare.filter(({ sinceMs }) => sinceMs <= before).length)) session.end()
    if (spare.length > 0) sweeping = setTimeout(sweep, spareMs).unref()
  }

  async function connect(): Promise<OwnSession> {
    const client = await pool.connect().catch((error: unknown) => {
      throw translateError(error, place, 'connect to')
    })
    return createSession(client as PipelinedClient, place, { store, statements, onReleased })
  }

  function takeSpare(): OwnSession | undefined {
    for (let last = spare.pop(); last; last = spare.pop()) {
      if (!last.session.broken) return last.session
      last.session.end()
    }
    return undefined
  }

  return {
    async open() {
      const session = takeSpare() ?? (await connect())
      inUse.add(session)
      return session
    },
    async terminate() {
      await Promise.all([...inUse].map((session) => session.terminate()))
    },
    close() {
      closed = true
      clearTimeout(sweeping)
      for (const { session } of spare.splice(0)) session.end()
      return pool.end()
    },
  }
}

/** As long as a connection stands. */
interface OwnSession extends Session {
  end(): void
}

/** What pg 8.23 has and its types do not say. */
type PipelinedClient = pg.PoolClient & {
  getTransactionStatus(): string | null
  readonly processID: number
  readonly connection: { readonly stream: Writable }
}

/** What is sent in one turn of the event loop leaves in one write: a write costs more than the statement in it. */
function sendTogether({ connection: { stream } }: PipelinedClient): void {
  if (stream.writableCorked > 0) return
  stream.cork()
  nextTick(() => stream.uncork())
}

interface Surroundings {
  readonly store: Store
  readonly statements: StatementNames
  readonly onReleased: (session: OwnSession) => void
}

/** A handler that talks to others between its statements must not make the server believe that we froze. */
const silentMs = 5_000
/** A connection that nobody needed for so long is closed. */
const spareMs = 30_000
const mostMs = 2 ** 31 - 1

function createSession(
  client: PipelinedClient,
  place: Place,
  { store, statements, onReleased }: Surroundings,
): OwnSession {
  let usedMs = performance.now()
  let broken = false
  let ended = false
  /** What `idle_in_transaction_session_timeout` was set to. */
  let idleLimit: number | undefined
  const onGone = () => {
    broken = true
  }
  client.on('error', onGone)
  client.on('end', onGone)

  const end = () => {
    if (ended) return
    ended = true
    client.off('error', onGone)
    client.off('end', onGone)
    client.release(true)
  }
  const send = async (text: string, values?: readonly unknown[]) => {
    usedMs = performance.now()
    sendTogether(client)
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
  const session: OwnSession = {
    sql: { query: send },
    get broken() {
      return broken
    },
    async begin(idleMs) {
      const idle = Math.min(idleMs + silentMs, mostMs)
      // It stays with the connection: handlers with the same limit need not send it again.
      const limited = idleLimit === idle ? undefined : send(`set idle_in_transaction_session_timeout = ${idle}`)
      idleLimit = undefined
      await Promise.all([limited, send('begin')])
      idleLimit = idle
    },
    async limitLockWait(ms) {
      await send(`set local lock_timeout = ${ms}`)
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
    end,
    release() {
      if (!ended) onReleased(session)
    },
    async terminate() {
      if (ended) return
      const { processID } = client
      broken = true
      onReleased(session)
      // Where the server is gone there is nothing left to end.
      await store.query('select pg_terminate_backend($1)', [processID]).catch(() => {})
    },
  }
  return session
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
