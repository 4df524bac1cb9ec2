import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge, createEventStore, createRegistry, defineEvent, defineHandler } from '../../src/index.ts'
import { silent } from '../handle/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

it('what a handler appends is caused by its event, and ends at the hop limit when it is its own trigger', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  const registry = createRegistry([defineEvent('item.added', { 1: z.object({}) })])
  const events = createEventStore({ store: url, registry })
  onTestFinished(() => events.close())
  const item = { type: 'item.added', data: {} }
  const echo = defineHandler({
    name: 'test.echo',
    on: ['item.added'],
    start: 'earliest',
    async handle({ subject = '' }, ctx) {
      await events.append(subject, 'any', [item], ctx.sql).catch(() => {})
    },
  })
  await events.append('cart/1', 0, [{ ...item, id: 'first', tenant: 'acme' }])
  const bridge = createBridge({ store: url, registry, handlers: [echo], grace: '1s', log: silent })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  await until(async () => (await store.query('select from evt.dead_letters')).rows.length === 1, { withinMs: 20_000 })
  expect((await store.query('select reason, error_class from evt.dead_letters')).rows).toEqual([
    { reason: 'non-retryable', error_class: 'HopLimit' },
  ])
  const { rows } = await store.query('select id, causation_id, correlation_id, tenant from evt.outbox order by seq')
  expect(rows).toHaveLength(33)
  expect(rows.slice(1).map(({ causation_id }) => causation_id)).toEqual(rows.slice(0, -1).map(({ id }) => id))
  expect(new Set(rows.slice(1).map((row) => `${row.correlation_id} ${row.tenant}`))).toEqual(new Set(['first acme']))
})
