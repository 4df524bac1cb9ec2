import { expect, it, onTestFinished } from 'vitest'
import { createEventBus } from '../../../src/event-bus.ts'
import { until } from '../../setup/until.ts'

it('a handler without a store waits while its downstream is broken, and buries nothing', async () => {
  const bus = createEventBus({ url: 'memory://direct-breaker' })
  onTestFinished(() => bus.stop())
  await bus.start()
  const handled = new Set<string>()
  let isDown = true
  await bus.subscribe(
    'thing.*',
    async (event) => {
      if (isDown) throw new Error('the mail server does not answer')
      handled.add(event.id)
    },
    { retry: { attempts: 4, initial: '200ms', max: '200ms' }, breaker: { subjects: 5, probe: '100ms' } },
  )
  const state = () => bus.stats().handlers[0]
  await bus.publishAll(Array.from({ length: 40 }, (_, n) => ({ type: 'thing.made', subject: `s/${n}`, data: {} })))
  await until(() => state()?.broken)
  const before = state()?.failed ?? 0
  await until(() => (state()?.failed ?? 0) > before + 6)
  expect(state()).toMatchObject({ dead: 0, handled: 0 })
  isDown = false
  await until(() => handled.size === 40)
  await until(() => !state()?.broken)
  expect(state()).toMatchObject({ dead: 0, handled: 40 })
})
