import { randomUUID } from 'node:crypto'
import { EvtError } from '../../../src/core/errors.ts'
import type { EvtEvent, NewEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import type { HandlerContext, HandlerDefinition, HandlerSql } from '../../../src/handle/handler.ts'
import { contracts } from '../../../src/services/icons/contracts.ts'
import { handlers } from '../../../src/services/icons/handlers.ts'
import { applicationSchema, iconsSchema } from '../../../src/services/icons/schema.ts'
import type { Store } from '../../../src/store/connection.ts'
import type { SqlExecutor } from '../../../src/transports/transport.ts'
import { createTestDatabase } from '../../setup/database.ts'

export const registry = createRegistry(contracts)

export interface Outcome {
  readonly handler: string
  readonly error?: Error
  readonly published: readonly NewEvent[]
}

export interface IconsDatabase {
  readonly store: Store
  /** Gives the event to every handler that wants it (to `only` alone), each in a transaction of its own, as the runtime does. */
  handle(event: EvtEvent, only?: string): Promise<readonly Outcome[]>
  [Symbol.asyncDispose](): Promise<void>
  rows(text: string, ...values: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
}

export async function openIconsDatabase(): Promise<IconsDatabase> {
  const database = await createTestDatabase()
  const { store } = database
  await store.transaction(async (sql) => {
    for (const text of [applicationSchema, iconsSchema, applicationSchema, iconsSchema]) await sql.query(text)
  })
  return {
    store,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    async handle(event, only) {
      const wanting = handlers.filter(({ name, on }) => wants({ on }, event.type) && (only ?? name) === name)
      return Promise.all(wanting.map((handler) => handleOne(store, handler, event)))
    },
    rows: async (text, ...values) => (await store.query(text, values)).rows,
  }
}

const contractsOf = (handler: Pick<HandlerDefinition, 'on'>) =>
  handler.on.flatMap((one) => (typeof one === 'string' ? [] : [one]))
const wants = (handler: Pick<HandlerDefinition, 'on'>, type: string) =>
  contractsOf(handler).some((one) => one.type === type)

async function handleOne(store: Store, handler: HandlerDefinition, event: EvtEvent): Promise<Outcome> {
  const published: NewEvent[] = []
  try {
    registry.validate(event)
    const version = contractsOf(handler).find((one) => one.type === event.type)?.version ?? event.version
    const migrated = registry.migrate(event, version)
    await store.transaction(async (sql) => handler.handle(migrated, contextOver(sql, published)))
    return { handler: handler.name, published }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { handler: handler.name, error, published: [] }
  }
}

/** What a handler gets, over a transaction; what it publishes must fit its contract. */
export function contextOver(sql: SqlExecutor, published: NewEvent[], known = registry): HandlerContext {
  const query = async (text: string, values: readonly unknown[] = []) => [...(await sql.query(text, values)).rows]
  const template = (strings: TemplateStringsArray, ...values: readonly unknown[]) =>
    query(
      strings.reduce((text, part, at) => (at === 0 ? part : `${text}$${at}${part}`), ''),
      values,
    )
  return {
    sql: Object.assign(template, { query }) as HandlerSql,
    async publish(event) {
      const complete = complement(event, known)
      known.validate(complete)
      published.push(complete)
      return complete.id
    },
    signal: new AbortController().signal,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    attempt: 1,
  }
}

/** What the publisher fills in. */
export function complement<T>(event: NewEvent<T>, known = registry): EvtEvent<T> {
  const latest = known.get(event.type)
  if (!latest) throw new EvtError('unknown-type', `no contract of ${event.type}`)
  return {
    id: randomUUID(),
    version: latest.version,
    source: 'test',
    time: new Date(0).toISOString(),
    priority: 'normal',
    metadata: {},
    ...event,
  }
}

/** A time that many seconds into the test's morning. */
export const at = (second: number): string => new Date(Date.UTC(2025, 10, 21, 8, 0, second)).toISOString()
