import { expect, it, onTestFinished } from 'vitest'
import { createEventBus } from '../src/event-bus.ts'
import { memoryUrl } from './relay/sinking.ts'
import { startPrivateRedis } from './setup/private-redis.ts'
import { describeWithOwn } from './setup/shared-servers.ts'
import { until } from './setup/until.ts'

const dead = { status: 'unhealthy', connected: false, pendingMessages: {} }

it('a bus says what is subscribed, what waits, and that a handler fails', async () => {
  const bus = createEventBus({ url: memoryUrl() })
  onTestFinished(() => bus.stop())
  expect(await bus.health()).toEqual({ ...dead, subscribedEvents: [] })
  await bus.start()
  const held = Promise.withResolvers<void>()
  const name = await bus.subscribe(['user.created', 'request.*'], () => held.promise, { concurrency: 1 })
  expect(await bus.health()).toEqual({
    status: 'healthy',
    connected: true,
    subscribedEvents: ['user.created', 'request.*'],
    pendingMessages: { [name]: 0 },
  })
  for (const n of [1, 2, 3]) await bus.publish({ type: 'user.created', subject: 'user/1', data: n })
  await until(async () => (await bus.health()).pendingMessages[name] === 3)
  held.resolve()
  await until(async () => (await bus.health()).pendingMessages[name] === 0)
  const failing = await bus.subscribe('bad.*', () => Promise.reject(new Error('no')), { retry: { attempts: 1 } })
  await bus.publish({ type: 'bad.one', data: 1 })
  await until(async () => (await bus.health()).status === 'degraded')
  await bus.unsubscribe(failing)
  expect((await bus.health()).subscribedEvents).toEqual(['user.created', 'request.*'])
})

describeWithOwn('redis', 'the health of a bus', () => {
  it('says that its server is away, and that it is back', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const bus = createEventBus({ url: redis.url, grace: '1s' })
    onTestFinished(() => bus.stop())
    await bus.start()
    await bus.subscribe('user.created', () => {})
    expect(await bus.health()).toMatchObject({ status: 'healthy', connected: true })
    await redis.kill('SIGKILL')
    await until(async () => (await bus.health()).status === 'unhealthy', { withinMs: 15_000 })
    expect(await bus.health()).toEqual({ ...dead, subscribedEvents: ['user.created'] })
    await redis.restart()
    await until(async () => (await bus.health()).connected, { withinMs: 30_000 })
  }, 60_000)
})
