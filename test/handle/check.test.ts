import { expect, it, onTestFinished } from 'vitest'
import { createEventBus } from '../../src/event-bus.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

/** A handler that asks whether its server is there, as it does where it handles. */
function withServer(more: object = {}) {
  const state = { isUp: true, calls: 0, checks: 0 }
  const assertUp = () => {
    if (!state.isUp) throw new Error('the mail server does not answer')
  }
  const handler = defineHandler({
    name: 'test.mailer',
    on: ['thing.*'],
    start: 'earliest',
    checkInterval: '20ms',
    retry: { attempts: 2, initial: '10ms', max: '10ms' },
    breaker: false,
    check() {
      state.checks += 1
      assertUp()
    },
    async handle() {
      state.calls += 1
      assertUp()
    },
    ...more,
  })
  return { state, handler }
}

const things = (count: number) => Array.from({ length: count }, (_, n) => ({ type: 'thing.made', subject: `s/${n}` }))

it('a handler whose own check fails waits from its first event on, and goes on by itself when it succeeds', async () => {
  const { state, handler } = withServer()
  state.isUp = false
  const running = await run([handler])
  const sample = () => running.recorder.sample().handlers[0]
  await running.publish(...things(30))
  await until(() => state.checks > 3 && sample()?.queued === 30)
  expect(sample()).toMatchObject({
    health: 'failing',
    unhealthy: 'Error: the mail server does not answer',
    paused: false,
    failed: 0,
  })
  expect(state.calls).toBe(0)
  state.isUp = true
  await until(() => sample()?.handled === 30)
  expect(sample()).toMatchObject({ health: 'healthy', failed: 0, dead: 0 })
  expect(sample()).not.toHaveProperty('unhealthy')
})

it('a handler that fails is asked soon, and what fails while its check does costs no attempt', async () => {
  // Its next regular check would come in an hour.
  const { state, handler } = withServer({
    checkInterval: '1h',
    retry: { attempts: 40, initial: '50ms', max: '50ms', backoff: 'fixed' },
  })
  const running = await run([handler])
  const sample = () => running.recorder.sample().handlers[0]
  await running.publish({ type: 'thing.made', subject: 's/first' })
  await until(() => sample()?.handled === 1)
  state.isUp = false
  await running.publish(...things(20))
  await until(() => sample()?.unhealthy !== undefined)
  await until(() => sample()?.inFlight === 0)
  const { calls, checks } = state
  await until(() => state.checks > checks)
  expect(state.calls).toBe(calls)
  state.isUp = true
  await until(() => sample()?.handled === 21)
  expect(sample()).toMatchObject({ dead: 0 })
})

it('an operator’s pause and the check are two reasons: a handler goes on when neither holds it', async () => {
  const { state, handler } = withServer()
  const running = await run([handler])
  const sample = () => running.recorder.sample().handlers[0]
  await until(() => state.checks > 0)
  running.subscribers.pause('test.mailer')
  state.isUp = false
  await until(() => sample()?.unhealthy !== undefined)
  await running.publish(...things(3))
  await until(() => sample()?.queued === 3)
  running.subscribers.resume('test.mailer')
  const { checks } = state
  await until(() => state.checks > checks + 2, { withinMs: 10_000 })
  expect(state.calls).toBe(0)
  running.subscribers.pause('test.mailer')
  state.isUp = true
  await until(() => sample()?.unhealthy === undefined)
  expect(state.calls).toBe(0)
  running.subscribers.resume('test.mailer')
  await until(() => sample()?.handled === 3)
})

it('an open breaker tries no event while the check says no', async () => {
  const { state, handler } = withServer({ breaker: { subjects: 3, probe: '20ms' }, checkInterval: '1h' })
  let [isReady, isBroken] = [false, () => false]
  const check = () => {
    state.checks += 1
    return isReady || !isBroken()
  }
  const running = await run([{ ...handler, check }])
  const sample = () => running.recorder.sample().handlers[0]
  isBroken = () => sample()?.broken === true
  state.isUp = false
  await running.publish(...things(5))
  await until(() => sample()?.broken)
  await until(() => sample()?.unhealthy === 'it says no')
  await until(() => sample()?.inFlight === 0)
  const { calls, checks } = state
  state.isUp = true
  await until(() => state.checks > checks + 4)
  expect(state.calls).toBe(calls)
  isReady = true
  await until(() => sample()?.handled === 5, { withinMs: 10_000 })
  await until(() => !sample()?.broken)
})

it('without a store a handler waits for its check too, in its own process', async () => {
  const { state, handler } = withServer()
  state.isUp = false
  const bus = createEventBus({ url: 'memory://direct-check', handlers: [handler] })
  onTestFinished(() => bus.stop())
  await bus.start()
  const sample = () => bus.stats().handlers[0]
  await bus.publishAll(things(10).map((one) => ({ ...one, data: {} })))
  await until(() => sample()?.unhealthy !== undefined && sample()?.queued === 10)
  expect(state.calls).toBe(0)
  state.isUp = true
  await until(() => sample()?.handled === 10)
  state.isUp = false
  await until(() => sample()?.health === 'failing')
  expect(sample()).toMatchObject({ failed: 0, dead: 0 })
})

it.each([
  [{ check: 'yes' }, 'check is no function'],
  [{ check() {}, checkInterval: 'often' }, 'checkInterval: '],
])('refuses %j', async (wrong, reason) => {
  const bus = createEventBus({ url: 'memory://direct-check-wrong' })
  onTestFinished(() => bus.stop())
  await bus.start()
  await expect(bus.handle({ ...withServer().handler, ...wrong } as never)).rejects.toThrow(reason)
})
