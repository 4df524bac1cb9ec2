import { spawnSync } from 'node:child_process'
import { expect, it, onTestFinished } from 'vitest'
import { createEventBus, type EventBusOptions } from '../../../src/event-bus.ts'
import { defineBatchHandler } from '../../../src/handle/define-batch-handler.ts'
import { until } from '../../setup/until.ts'

const events = 60

/** Two handlers of single events and one of batches, over all of which attempts are counted. */
async function countAttempts(options: EventBusOptions): Promise<number> {
  const bus = createEventBus({ cwd: import.meta.dirname, ...options })
  onTestFinished(() => bus.stop())
  let [now, most, done] = [0, 0, 0]
  const handle = async (count: number) => {
    now += 1
    most = Math.max(most, now)
    await new Promise((resolve) => setTimeout(resolve, 1))
    now -= 1
    done += count
  }
  await bus.start()
  await bus.subscribe('thing.*', () => handle(1), { name: 'test.high', priority: 'high' })
  await bus.subscribe('thing.*', () => handle(1), { name: 'test.low', priority: 'low' })
  await bus.handle(
    defineBatchHandler({ name: 'test.batch', on: ['thing.*'], batch: 5, handle: (all) => handle(all.length) }),
  )
  await bus.publishAll(Array.from({ length: events }, (_, n) => ({ type: 'thing.made', subject: `s/${n}`, data: {} })))
  await until(() => done === 3 * events)
  expect(bus.stats().handlers.every(({ inFlight, queued }) => inFlight + queued === 0)).toBe(true)
  return most
}

it('maxConcurrentHandlers limits the attempts of all handlers of a bus together', async () => {
  expect(await countAttempts({ url: 'memory://direct-limit-none' })).toBeGreaterThan(2)
  expect(await countAttempts({ url: 'memory://direct-limit-2', maxConcurrentHandlers: 2 })).toBe(2)
  const env = { EVENT_BUS_TYPE: 'memory', EVT_MAX_CONCURRENT_HANDLERS: '1' }
  expect(await countAttempts({ env, topic: 'limit-by-variable' })).toBe(1)
})

it('a handler that is paused while it waits for its place does not run', async () => {
  const bus = createEventBus({ url: 'memory://direct-limit-paused', maxConcurrentHandlers: 1 })
  onTestFinished(() => bus.stop())
  await bus.start()
  const gate = Promise.withResolvers<void>()
  const seen: string[] = []
  await bus.subscribe('a.*', () => gate.promise, { name: 'test.a' })
  await bus.subscribe('b.*', ({ id }) => void seen.push(id), { name: 'test.b' })
  await bus.publish({ type: 'a.made', data: {} })
  await until(() => bus.stats().handlers[0]?.inFlight === 1)
  await bus.publish({ type: 'b.made', data: {}, id: 'one' })
  await until(() => bus.stats().handlers[1]?.queued === 1)
  bus.pause('test.b')
  gate.resolve()
  await until(() => bus.stats().handlers[0]?.handled === 1)
  await bus.publish({ type: 'a.made', data: {} })
  await until(() => bus.stats().handlers[0]?.handled === 2)
  expect(seen).toEqual([])
  bus.resume('test.b')
  await until(() => seen.length === 1)
})

it('a limit that is none is refused', async () => {
  const bus = createEventBus({ url: 'memory://direct-limit-wrong', maxConcurrentHandlers: 0 })
  await expect(bus.start()).rejects.toThrow('maxConcurrentHandlers is 0, not a whole number from 1 on')
})

it('a handler that never gives back the event loop ends its process, which names it, also one that came later', () => {
  const file = new URL('./blocking-bus.ts', import.meta.url).pathname
  const { signal, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', cwd: import.meta.dirname })
  expect(signal).toBe('SIGKILL')
  expect(stderr).toContain('stood still for 400 ms; begun last: test.blocking; in a handler: test.blocking\n')
}, 30_000)
