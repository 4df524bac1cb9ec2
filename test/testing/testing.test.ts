import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  createBridge,
  createPublisher,
  createRegistry,
  defineEvent,
  defineHandler,
  defineSaga,
  EvtError,
} from '../../src/index.ts'
import { advanceClock, createTestBus, recordHandler, waitForEvents } from '../../src/testing.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const userCreated = defineEvent('user.created', {
  1: z.object({ name: z.string() }),
  2: { schema: z.object({ first: z.string() }), upcast: ({ name }) => ({ first: name.split(' ')[0] ?? '' }) },
})
const mailQueued = defineEvent('mail.queued', { 1: z.object({ to: z.string() }) })
const registry = createRegistry([userCreated, mailQueued])
/** As a busy machine needs it. */
const patient = { within: '20s' } as const

const welcome = defineHandler({
  name: 'mail.welcome',
  on: [userCreated],
  retry: { attempts: 2, initial: '1ms' },
  nonRetryable: ['RangeError'],
  async handle(event, ctx) {
    if (event.data.first === 'Never') throw new Error('no such person')
    if (event.data.first === 'Wrong') throw new RangeError('out of range')
    if (event.data.first === 'Late' && ctx.attempt === 1) throw new Error('not yet')
    await ctx.publish({ type: 'mail.queued', data: { to: event.data.first } })
  },
})

describe('a test bus', () => {
  it('shares nothing with another one, and ends with its scope', async () => {
    const seen: string[] = []
    const one = await createTestBus()
    {
      await using ending = one
      await using other = await createTestBus()
      await other.subscribe('*', ({ type }) => void seen.push(type))
      await ending.publish({ type: 'one.done', data: {} })
      await other.publish({ type: 'other.done', data: {} })
      await waitForEvents(other, 'other.done', patient)
      expect(seen).toEqual(['other.done'])
      expect(one.transport).toBe('memory')
    }
    expect(await one.publish({ type: 'one.done', data: {} })).toMatchObject({ state: 'refused' })
  })

  it('tells what was published, before and after it is asked, in the version of the contract', async () => {
    await using bus = await createTestBus({ registry, handlers: [welcome] })
    await bus.publish({ type: 'user.created', version: 1, subject: 'user/1', data: { name: 'Ada Lovelace' } })
    const waiting = waitForEvents(bus, mailQueued, { ...patient, count: 2 })
    await bus.publish({ type: 'user.created', subject: 'user/2', data: { first: 'Grace' } })
    expect((await waiting).map(({ data }) => data.to).sort()).toEqual(['Ada', 'Grace'])
    const [grace] = await waitForEvents(bus, userCreated, { ...patient, where: ({ data }) => data.first === 'Grace' })
    expect(grace?.subject).toBe('user/2')
    const [first] = await waitForEvents(bus, userCreated.v1, { where: ({ version }) => version === 1 })
    expect(first?.data).toEqual({ name: 'Ada Lovelace' })
  })

  it('says what came instead when it does not come', async () => {
    await using bus = await createTestBus({ registry })
    const nothing = waitForEvents(bus, 'user.*', { within: '20ms' })
    await expect(nothing).rejects.toThrow('cannot wait for user.*: 0 came within 20ms; nothing else came either')
    await bus.publish({ type: 'user.created', subject: 'user/1', data: { first: 'Ada' } })
    await bus.publish({ type: 'mail.queued', data: { to: 'x' } })
    await waitForEvents(bus, '*', { ...patient, count: 2 })
    const other = waitForEvents(bus, userCreated, {
      count: 2,
      within: '2s',
      where: ({ data }) => data.first === 'Grace',
    })
    const error = await other.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(EvtError)
    expect((error as EvtError).code).toBe('timeout')
    expect((error as EvtError).message).toMatch(
      /^cannot wait for 2 events of user.created: 0 came within 2s; instead came /,
    )
    expect((error as EvtError).message).toContain('user.created (1)')
    expect((error as EvtError).message).toContain('mail.queued (1)')
    expect((error as EvtError).message).toContain('`where` did not take user.created of user/1 {"first":"Ada"}')
    const broken = waitForEvents(bus, '*', {
      where() {
        throw new Error('a mistake in the test')
      },
    })
    await expect(broken).rejects.toThrow('a mistake in the test')
  })
})

describe('a recorded handler', () => {
  it('tells of each attempt what became of it', async () => {
    const recorded = recordHandler(welcome)
    await using bus = await createTestBus({ registry, handlers: [recorded.handler] })
    for (const first of ['Ada', 'Late', 'Never', 'Wrong'])
      await bus.publish({ type: 'user.created', subject: `user/${first}`, data: { first } })
    await recorded.ended(4, patient)
    const of = (name: string) =>
      recorded.results
        .filter(({ event }) => event.subject === `user/${name}`)
        .map(({ attempt, state, error }) => [attempt, state, error?.message])
    expect(of('Ada')).toEqual([[1, 'handled', undefined]])
    expect(of('Late')).toEqual([
      [1, 'retried', 'not yet'],
      [2, 'handled', undefined],
    ])
    expect(of('Never')).toEqual([
      [1, 'retried', 'no such person'],
      [2, 'dead', 'no such person'],
    ])
    expect(of('Wrong')).toEqual([[1, 'dead', 'out of range']])
    expect(recorded.results.every(({ durationMs }) => durationMs >= 0)).toBe(true)
    // As the bus has it.
    await until(() => bus.stats().handlers[0]?.dead === 2)
    await expect(recorded.ended(5, { within: '10ms' })).rejects.toThrow(
      /cannot wait for 5 ended events of mail.welcome: 4 ended within 10ms; .*user.created dead \(attempt 2\)/,
    )
  })

  it('knows a time-out from a bus that stops', async () => {
    const never = defineHandler({
      name: 'never.ending',
      on: ['*'],
      timeout: '20ms',
      retry: { attempts: 1 },
      handle: () => new Promise(() => {}),
    })
    const slow = recordHandler(never)
    const stopped = recordHandler({ ...never, name: 'stopped.meanwhile', timeout: '1h' })
    const bus = await createTestBus({ handlers: [slow.handler, stopped.handler], grace: '50ms' })
    await bus.publish({ type: 'user.created', data: {} })
    expect(await slow.ended(1, patient)).toMatchObject([{ state: 'dead', attempt: 1, error: { name: 'TimeoutError' } }])
    await bus.stop()
    expect(stopped.results).toMatchObject([{ state: 'interrupted' }])
  })
})

it('time that passes makes retries, held events and time-outs of sagas due', async () => {
  const { store, url } = await createTestDatabase()
  const failing = recordHandler(
    defineHandler({
      name: 'mail.later',
      on: [mailQueued],
      retry: { attempts: 2, backoff: 'fixed', initial: '10d', max: '10d' },
      handle(_event, { attempt }) {
        if (attempt === 1) throw new Error('not today')
      },
    }),
  )
  const saga = defineSaga({
    name: 'mail.answered',
    startsOn: mailQueued,
    correlate: ({ data }) => data.to,
    state: z.object({ to: z.string() }),
    timeout: '3d',
    steps: ({ step }) => [step('answer', { awaits: userCreated, correlate: ({ data }) => data.first })],
    onFailed: ({ to }, ctx) => ctx.publish({ type: 'user.created', data: { first: `nobody at ${to}` } }),
  })
  const bridge = createBridge({ store: url, registry, handlers: [failing.handler], sagas: [saga], grace: '1s' })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const publisher = createPublisher({ store: url, registry, source: 'test' })
  onTestFinished(() => publisher.close())
  const deliverAt = new Date(Date.now() + 3_600_000).toISOString()
  await publisher.publishAll([{ type: 'mail.queued', data: { to: 'a@b.c' }, deliverAt }])
  expect(await advanceClock(store, '30m')).toEqual({ retries: 0, events: 1, timers: 0 })
  expect(failing.results).toEqual([])
  expect(await advanceClock(store, '30m')).toEqual({ retries: 0, events: 1, timers: 0 })
  await waitForEvents(bridge, mailQueued, patient)
  const waiting =
    'select (select count(*)::int from evt.deliveries) retries, (select count(*)::int from evt.timers) timers'
  await until(
    async () => (await store.query(waiting)).rows.every(({ retries, timers }) => retries === 1 && timers === 1),
    {
      withinMs: 15_000,
    },
  )
  // Full jitter: the retry is due at any time of its ten days.
  expect(await advanceClock(store, '10d')).toEqual({ retries: 1, events: 0, timers: 1 })
  await failing.ended(1, patient)
  expect(failing.results.map(({ state }) => state)).toEqual(['retried', 'handled'])
  const [undone] = await waitForEvents(bridge, userCreated, patient)
  expect(undone?.data).toEqual({ first: 'nobody at a@b.c' })
  await expect(advanceClock(store, 'soon')).rejects.toThrow(EvtError)
}, 60_000)
