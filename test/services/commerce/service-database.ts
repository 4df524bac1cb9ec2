import type { ServiceDefinition } from '../../../src/index.ts'
import { createRegistry, type EvtEvent, type HandlerDefinition, type NewEvent } from '../../../src/index.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { complement, contextOver } from '../icons/icons-database.ts'

export interface Outcome {
  readonly handler: string
  readonly error?: Error
  readonly published: readonly EvtEvent[]
}

/** The tables of services, set up twice, and their handlers, each in a transaction of its own, as the runtime does it. */
export async function openServiceDatabase(services: readonly ServiceDefinition[]) {
  const database = await createTestDatabase()
  const { store } = database
  for (const text of services.flatMap(({ migrations = [] }) => [...migrations, ...migrations])) await store.query(text)
  const registry = createRegistry(services.flatMap(({ contracts }) => contracts))
  const handlers = services.flatMap((one) => one.handlers) as readonly HandlerDefinition[]

  async function handleBy(handler: HandlerDefinition, event: EvtEvent): Promise<Outcome> {
    const published: NewEvent[] = []
    try {
      await store.transaction(async (sql) => handler.handle(event, contextOver(sql, published, registry)))
      return { handler: handler.name, published: published as EvtEvent[] }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { handler: handler.name, error, published: [] }
    }
  }
  /** To every handler that wants it. */
  async function handle(given: EvtEvent): Promise<readonly Outcome[]> {
    registry.validate(given)
    const event = registry.migrate(given, registry.get(given.type)?.version ?? given.version)
    const outcomes: Outcome[] = []
    for (const handler of handlers) {
      const isWanted = handler.on.some((one) => typeof one !== 'string' && one.type === event.type)
      if (isWanted) outcomes.push(await handleBy(handler, event))
    }
    return outcomes
  }
  return {
    store,
    registry,
    handle,
    /** One after the other, none of which may fail: what they published, and nothing of what that would cause. */
    async succeed(...events: readonly EvtEvent[]): Promise<readonly EvtEvent[]> {
      const published: EvtEvent[] = []
      for (const event of events) {
        for (const outcome of await handle(event)) {
          if (outcome.error) throw outcome.error
          published.push(...outcome.published)
        }
      }
      return published
    },
    event: <T>(type: string, second: number, data: T, more: Partial<NewEvent> = {}): EvtEvent<T> =>
      complement({ type, time: at(second), data, ...more } as NewEvent<T>, registry),
    rows: async (text: string, ...values: readonly unknown[]) => (await store.query(text, values)).rows,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

export type ServiceDatabase = Awaited<ReturnType<typeof openServiceDatabase>>

/** A time that many seconds into the test's morning. */
export const at = (second: number) => new Date(Date.UTC(2026, 0, 5, 8, 0, second)).toISOString()
