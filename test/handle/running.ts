import { randomUUID } from 'node:crypto'
import { encodeEvent, toHeaders } from '../../src/core/codec.ts'
import type { EvtEvent, NewEvent } from '../../src/core/event.ts'
import { createRegistry, type Registry } from '../../src/core/registry.ts'
import type { AnyHandlerDefinition, HandlerLog } from '../../src/handle/handler.ts'
import { createSubscribers, type Subscribers, type SubscribersOptions } from '../../src/handle/subscribers.ts'
import type { Store } from '../../src/store/connection.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import type { Message, Transport } from '../../src/transports/transport.ts'
import { createRecorder, type Recorder } from '../../src/watch/recorder.ts'
import { createTestDatabase } from '../setup/database.ts'
import { onTestFinished } from '../setup/on-test-finished.ts'

export const silent: HandlerLog = { debug() {}, info() {}, warn() {}, error() {} }

export function eventOf(given: Partial<EvtEvent> & { readonly type: string }): EvtEvent {
  return {
    id: randomUUID(),
    version: 1,
    source: 'test',
    time: new Date().toISOString(),
    priority: 'normal',
    metadata: {},
    data: {},
    ...given,
  }
}

export function messageOf(event: EvtEvent): Message {
  const encoded = encodeEvent(event)
  return { id: event.id, key: event.subject ?? null, headers: toHeaders(encoded), body: Buffer.from(encoded.dataText) }
}

export interface Running {
  readonly store: Store
  readonly url: string
  readonly transport: Transport
  readonly name: string
  readonly recorder: Recorder
  readonly subscribers: Subscribers
  publish(...events: (Partial<EvtEvent> & { readonly type: string })[]): Promise<EvtEvent[]>
  rows(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** Another process on the same lanes and store. */
  another(handlers: readonly AnyHandlerDefinition[], options?: Partial<SubscribersOptions>): Promise<Subscribers>
}

/** Handlers over `memory` with a migrated store, and a table for their effects; stopped when the test ends. */
export async function run(
  handlers: readonly AnyHandlerDefinition[],
  options: Partial<SubscribersOptions> & { readonly registry?: Registry } = {},
): Promise<Running> {
  const { store, url } = await createTestDatabase({ max: 12 })
  await store.query(
    'create table effects (n bigint generated always as identity, handler text, id text, subject text, sequence bigint)',
  )
  const name = `handle${randomUUID().slice(0, 8)}`
  const transport = options.transport ?? openMemory(`memory://${name}`)
  const recorder = createRecorder()
  const start = async (
    own: readonly AnyHandlerDefinition[],
    extra: Partial<SubscribersOptions>,
  ): Promise<Subscribers> => {
    const subscribers = createSubscribers({
      store,
      transport,
      handlers: own,
      registry: createRegistry([]),
      recorder,
      instance: randomUUID(),
      log: silent,
      topics: ['events'],
      publish: async (sql, events) => publishRows(sql, events),
      ...extra,
    })
    await subscribers.start()
    onTestFinished(() => subscribers.stop({ graceMs: 2000 }))
    return subscribers
  }
  await store.query('create table published (id text, type text, causation text)')
  onTestFinished(() => transport.close())
  await transport.ensure([{ name: 'events', lanes: 1 }], 'create')
  const subscribers = await start(handlers, options)
  return {
    store,
    url,
    transport,
    name,
    recorder,
    subscribers,
    async publish(...given) {
      const events = given.map(eventOf)
      await transport.publish('events', events.map(messageOf), AbortSignal.timeout(5000))
      return events
    },
    rows: async (text, values = []) => [...(await store.query(text, values)).rows],
    another: (own, extra = {}) => start(own, extra),
  }
}

async function publishRows(sql: Pick<Store, 'query'>, events: readonly NewEvent[]): Promise<string[]> {
  const ids = events.map((event) => event.id ?? randomUUID())
  for (const [at, event] of events.entries()) {
    await sql.query('insert into published values ($1, $2, $3)', [ids[at], event.type, event.causationId ?? null])
  }
  return ids
}

/** What a process has that can be killed, for `another`: a transport of its own that then releases nothing, and a store that then writes nothing. */
export function createMortal({ name, store }: Running) {
  const transport = openMemory(`memory://${name}`)
  let isDead = false
  const mortal = new Proxy(store, {
    get: (target, key) =>
      isDead && key === 'transaction' ? () => Promise.reject(new Error('dead')) : Reflect.get(target, key),
  })
  return {
    parts: { transport, store: mortal },
    die() {
      isDead = true
      transport.die()
    },
  }
}
