import { onTestFinished } from 'vitest'
import type { HttpOptions } from '../../src/core/http-options.ts'
import { type BridgeOptions, createBridge } from '../../src/index.ts'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import { createToken, type NewToken } from '../../src/store/tokens.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { registry } from './contracts.ts'

export interface Served {
  readonly url: string
  readonly database: TestDatabase
  readonly store: Store
  /** Every line of the log, with its fields. */
  readonly lines: string[]
  stop(): Promise<void>
  post(body: unknown, headers?: Record<string, string>): Promise<{ status: number; body: Answer; headers: Headers }>
}

export interface Answer {
  readonly stored: number
  readonly duplicate: number
  readonly refused: number
  readonly title: string
  readonly hint?: string
  readonly events: { id: string; outcome: string; code?: string; reason?: string; hint?: string }[]
}

/** A bridge on a database of its own, which sequences and serves. In `beforeAll`, the caller stops it and disposes of the database. */
export async function serve(
  http: HttpOptions = {},
  more: Partial<BridgeOptions> = {},
  before: (store: Store) => Promise<unknown> = async () => {},
): Promise<Served> {
  const database = await createTestDatabase()
  await before(database.store)
  return serveOn(database, http, more)
}

export async function serveOn(
  database: TestDatabase,
  http: HttpOptions,
  more: Partial<BridgeOptions> = {},
): Promise<Served> {
  const lines: string[] = []
  const line = (message: string, fields?: object) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`)
  const log = { debug: line, info: line, warn: line, error: line }
  const bridge = createBridge({
    store: database.url,
    registry,
    roles: ['relay', 'http'],
    grace: '2s',
    log,
    ...more,
    http: { port: 0, ...http },
  })
  const stop = () => bridge.stop()
  stopAfterTest(stop)
  await bridge.start()
  const url = bridge.httpUrl ?? ''
  return {
    url,
    database,
    store: database.store,
    lines,
    stop,
    async post(body, headers = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const answer = await fetch(`${url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: text,
      })
      return { status: answer.status, body: (await answer.json()) as Answer, headers: answer.headers }
    },
  }
}

export async function makeToken(store: Store, wanted: Partial<NewToken> = {}): Promise<string> {
  const all = {
    name: 'ci',
    scopes: ['publish', 'read'],
    types: ['*'],
    createdBy: 'test',
    expiresAt: undefined,
    ...wanted,
  } as const
  const audit = createAudit({ who: 'test', verb: 'token create', target: all.name })
  return (await createToken(store, all, audit)).token
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** What the log holds, in its order. */
export async function logged(store: Store): Promise<readonly { id: string; type: string; data: string }[]> {
  const { rows } = await store.query(
    'select o.id, o.type, o.data::text as data from evt.log l join evt.outbox o using (xid, seq) order by l.position',
  )
  return rows as unknown as readonly { id: string; type: string; data: string }[]
}

function stopAfterTest(stop: () => Promise<void>): void {
  try {
    onTestFinished(stop)
  } catch {
    // Not inside a test.
  }
}
