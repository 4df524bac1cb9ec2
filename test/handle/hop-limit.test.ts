import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { type Bridge, createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createEventBus } from '../../src/event-bus.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

function stopped(bridge: Bridge): Bridge {
  onTestFinished(() => bridge.stop())
  return bridge
}

it('a handler that publishes its own trigger stops after 32 hops with a dead letter that says so, also when it swallows that', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  const registry = createRegistry([defineEvent('echo.called', { 1: z.object({ n: z.number() }) })])
  let runs = 0
  const echo = defineHandler({
    name: 'test.echo',
    on: ['echo.called'],
    start: 'earliest',
    async handle(event, ctx) {
      runs += 1
      await ctx.publish({ type: 'echo.called', subject: 'wall', data: event.data }).catch(() => {})
    },
  })
  await stopped(createBridge({ store: url, registry, handlers: [echo] })).start()
  const publisher = createPublisher({ store, registry, source: 'test' })
  await store.transaction((sql) => publisher.publish(sql, [{ type: 'echo.called', subject: 'wall', data: { n: 1 } }]))
  await until(async () => (await store.query('select 1 from evt.dead_letters')).rows.length === 1)
  const { rows } = await store.query('select reason, error_class, error_message from evt.dead_letters')
  expect(rows).toEqual([
    { reason: 'non-retryable', error_class: 'HopLimit', error_message: expect.stringContaining('hop limit') },
  ])
  // The first one and 32 that were caused; the last of them only tried.
  expect((await store.query('select count(*)::int as n from evt.log')).rows).toEqual([{ n: 33 }])
  expect(runs).toBeGreaterThanOrEqual(33)
})

it('without a store it is the same', async () => {
  const bus = createEventBus({ url: 'memory://hop-limit' })
  onTestFinished(() => bus.stop())
  await bus.start()
  let runs = 0
  await bus.subscribe('echo.called', async (event, ctx) => {
    runs += 1
    await ctx.publish({ type: 'echo.called', subject: 'wall', data: event.data })
  })
  await bus.publish({ type: 'echo.called', subject: 'wall', data: { n: 1 } })
  await until(() => bus.stats().handlers[0]?.failed === 1)
  expect(bus.stats().handlers[0]).toMatchObject({ handled: 32, failed: 1, dead: 1 })
  expect(bus.stats().handlers[0]?.lastError).toContain('hop limit')
  expect(runs).toBe(33)
})
