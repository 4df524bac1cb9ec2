import { createRegistry, type EvtEvent, type HandlerDefinition, type NewEvent } from '../../../src/index.ts'
import { contracts } from '../../../src/services/validation/contracts.ts'
import { validationSchema } from '../../../src/services/validation/schema.ts'
import { validation } from '../../../src/services/validation/service.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { complement as complete, contextOver } from '../icons/icons-database.ts'

export const registry = createRegistry(contracts)
export const complement = (event: NewEvent): EvtEvent => complete(event, registry)

/** Gives events to the handlers that want them, each in a transaction of its own, and theirs to them in turn. */
export async function openValidationDatabase() {
  const database = await createTestDatabase()
  const { store } = database
  for (let times = 0; times < 2; times++) await store.query(validationSchema)

  const handlers = validation.handlers as readonly HandlerDefinition[]
  const wants = ({ on }: HandlerDefinition, type: string) =>
    on.some((one) => typeof one !== 'string' && one.type === type)

  async function handle(given: EvtEvent): Promise<readonly EvtEvent[]> {
    registry.validate(given)
    const latest = registry.get(given.type)?.version ?? given.version
    const event = registry.migrate(given, latest)
    const all: EvtEvent[] = [event]
    for (const handler of handlers.filter((one) => wants(one, event.type))) {
      const published: NewEvent[] = []
      await store.transaction(async (sql) => handler.handle(event, contextOver(sql, published, registry)))
      for (const one of published) all.push(...(await handle(one as EvtEvent)))
    }
    return all
  }
  const rows = async (text: string, ...values: readonly unknown[]) => (await store.query(text, values)).rows
  return { store, handle, rows, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

let submitted = 0
export const idAt = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

export function submission(kind: 'customer' | 'invoice', body: unknown, more: Partial<NewEvent> = {}): EvtEvent {
  const recordId = (body as { id?: string } | null)?.id ?? 'x'
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return complement({
    type: 'validation.submitted',
    subject: `record/${recordId}`,
    data: { runId: idAt(++submitted), kind, recordId, body: text },
    ...more,
  })
}

export const customer = (id: string, more: object = {}) => ({
  ...{ id, name: 'Ada', email: 'ada@example.com', country: 'GB' },
  ...more,
})
export const invoice = (id: string, more: object = {}) => ({
  ...{ id, customerId: 'c-1', totalCents: 700, issuedOn: '2026-01-02', dueOn: '2026-02-02' },
  lines: [
    { sku: 'a', quantity: 2, priceCents: 100 },
    { sku: 'b', quantity: 1, priceCents: 500 },
  ],
  ...more,
})
