import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createEventBus } from '../../src/event-bus.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createResults, type ProcessingResult } from '../../src/handle/results.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { run, silent } from './running.ts'

/** Fails for `poison`, and for `late` the first time. */
const handler = defineHandler({
  name: 'mail.sender',
  on: ['thing.*'],
  start: 'earliest',
  retry: { attempts: 2, initial: '5ms', max: '5ms' },
  handle(event, { attempt }) {
    if (event.subject === 'poison' || (event.subject === 'late' && attempt === 1)) throw new TypeError('not now')
  },
})

const things = ['good', 'late', 'poison'].map((subject) => ({ type: 'thing.made', subject, id: `event-${subject}` }))
const shape = ({ subject, state, attempt }: ProcessingResult) => `${subject} ${state} ${attempt}`
const expected = ['good handled 1', 'late handled 2', 'late retried 1', 'poison dead 2', 'poison retried 1']

const whole = {
  handler: 'mail.sender',
  group: 'mail',
  eventId: 'event-poison',
  type: 'thing.made',
  subject: 'poison',
  state: 'dead',
  attempt: 2,
  durationMs: expect.any(Number),
  error: expect.objectContaining({ class: 'TypeError', message: 'not now' }),
}

it('tells what became of each try, when that is committed; what was handled before is skipped', async () => {
  const results: ProcessingResult[] = []
  const running = await run([handler], { onResult: (result) => results.push(result) })
  await running.publish(...things)
  await until(() => results.length === 5)
  expect(results.map(shape).sort()).toEqual(expected)
  expect(results.find(({ state }) => state === 'dead')).toEqual(whole)
  expect(results.every(({ durationMs }) => durationMs >= 0)).toBe(true)
  // As another process of the handler has left it, that ended before it could say so to the lane.
  await running.store.query(
    `insert into evt.inbox (handler, event_id, day) select handler, 'event-again', day from evt.inbox where event_id = 'event-good'`,
  )
  await running.publish({ type: 'thing.made', id: 'event-again' })
  await until(() => results.length === 6)
  expect(results.at(-1)).toMatchObject({ eventId: 'event-again', state: 'skipped', durationMs: 0 })
})

it('tells the same without a store', async () => {
  const results: ProcessingResult[] = []
  const bus = createEventBus({
    url: 'memory://direct-results',
    handlers: [handler],
    onResult: (result) => results.push(result),
  })
  onTestFinished(() => bus.stop())
  await bus.start()
  await bus.publishAll(things.map((one) => ({ ...one, data: {} })))
  await until(() => results.length === 5)
  expect(results.map(shape).sort()).toEqual(expected)
  expect(results.find(({ state }) => state === 'dead')).toEqual(whole)
})

it('an observer of a bridge that throws, rejects or never answers changes nothing, and is told to the log', async () => {
  const { store, url } = await createTestDatabase()
  const said: string[] = []
  let told = 0
  const bridge = createBridge({
    store: url,
    registry: createRegistry([]),
    handlers: [handler],
    log: { ...silent, warn: (message) => void said.push(message) },
    onResult() {
      told += 1
      if (told === 1) throw new Error('a defect')
      return told === 2 ? Promise.reject(new Error('later')) : new Promise(() => {})
    },
  })
  onTestFinished(() => bridge.stop())
  await store.query(`select evt.publish('thing.made', '{}', 's/' || n) from generate_series(1, 20) n`)
  await bridge.start()
  await until(() => bridge.stats().handlers[0]?.handled === 20 && told === 20)
  expect(bridge.stats().handlers[0]).toMatchObject({ failed: 0, dead: 0 })
  expect(said.filter((one) => one === 'an observer of results fails; handlers go on')).toHaveLength(1)
})

it('an observer that is slow delays no one: it is told turn by turn, in order, and misses what is too much', async () => {
  const one = {
    handler: 'a',
    group: 'a',
    type: 'a.b',
    subject: null,
    state: 'handled',
    attempt: 1,
    durationMs: 0,
  } as const
  const seen: string[] = []
  const said: (object | undefined)[] = []
  const spin = () => {
    const endMs = performance.now() + 1
    while (performance.now() < endMs);
  }
  const results = createResults(
    ({ eventId }) => {
      if (seen.push(eventId) < 20) spin()
    },
    { ...silent, warn: (_, fields) => void said.push(fields) },
  )
  for (let n = 0; n < 10_005; n++) results.note({ ...one, eventId: String(n) })
  expect(seen).toEqual([])
  await nextTurn()
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.length).toBeLessThan(20)
  await until(() => seen.length === 10_000)
  expect(seen).toEqual(Array.from({ length: 10_000 }, (_, n) => String(n)))
  expect(said).toEqual([{ results: 5 }])
  results.note({ ...one, eventId: 'last' })
  results.end()
  expect(seen.at(-1)).toBe('last')
})
