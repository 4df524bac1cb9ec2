import { expect, it, onTestFinished } from 'vitest'
import {
  createEventBus,
  createPerformanceCoordinator,
  createValidationMonitor,
  type NewEvent,
} from '../../src/index.ts'
import { until } from '../setup/until.ts'

it('a performance coordinator tells phases and operations as events, and gives what the work gives', async () => {
  const events: NewEvent[] = []
  const coordinator = createPerformanceCoordinator({ publish: (event) => void events.push(event) })
  const options = { operation: 'validation', contextId: 'form/7', fieldPath: 'user.email' }
  const value = await coordinator.operation(options, () => coordinator.phase('parse', options, async () => 42))
  expect(value).toBe(42)
  await expect(coordinator.phase('check', options, () => Promise.reject(new RangeError('no')))).rejects.toThrow('no')
  expect(
    events.map(({ type, data }) => [type, (data as { phase?: string }).phase, (data as { status: string }).status]),
  ).toEqual([
    ['performance.phase.start', 'parse', 'started'],
    ['performance.phase.complete', 'parse', 'completed'],
    ['performance.operation.complete', undefined, 'completed'],
    ['performance.phase.start', 'check', 'started'],
    ['performance.phase.complete', 'check', 'failed'],
  ])
  expect(events[1]).toMatchObject({
    subject: 'form/7',
    data: { ...options, durationMs: expect.any(Number), resourceUsage: { rssBytes: expect.any(Number) } },
  })
  expect(coordinator.times()).toMatchObject([
    { phase: 'parse', completed: 1, failed: 0, p95Ms: expect.any(Number) },
    { phase: 'operation validation', completed: 1 },
    { phase: 'check', completed: 0, failed: 1 },
  ])
})

it('a publisher that fails breaks no work', async () => {
  const errors: unknown[] = []
  const broken = [
    () => {
      throw new Error('thrown')
    },
    () => Promise.reject(new Error('rejected')),
  ]
  for (const publish of broken) {
    const coordinator = createPerformanceCoordinator({ publish, onError: (error) => errors.push(error) })
    expect(await coordinator.phase('a', { operation: 'x', contextId: 'c' }, () => 1)).toBe(1)
  }
  await until(() => errors.length === 4)
})

it('a validation monitor on a bus knows runs, phases and the fields that fail', async () => {
  const bus = createEventBus({ url: `memory://phases${Math.random()}` })
  onTestFinished(() => bus.stop())
  await bus.start()
  const monitor = createValidationMonitor()
  for (const pattern of monitor.patterns) await bus.subscribe(pattern, async (event) => monitor.handle(event))
  const publish = (type: string, data: object, correlationId: string) =>
    bus.publish({ type, data, correlationId, subject: 'form/7' })
  for (const id of ['a', 'b', 'c']) await publish('validation.started', {}, id)
  await publish('validation.phase.completed', { phase: 'parse', durationMs: 4 }, 'a')
  await publish('validation.phase.completed', { phase: 'parse', duration_ms: 8, status: 'failed' }, 'b')
  await publish('validation.error.occurred', { fieldPath: 'user.email', message: 'no @' }, 'b')
  await publish('validation.completed', {}, 'a')
  await publish('validation.failed', { odd: null }, 'b')
  await until(() => monitor.report().failed === 1, { withinMs: 20_000 })
  expect(monitor.report()).toEqual({
    ...{ started: 3, completed: 1, failed: 1, running: 1 },
    phases: [{ phase: 'parse', completed: 1, failed: 1, p95Ms: expect.any(Number) }],
    errors: [{ fieldPath: 'user.email', count: 1, last: 'no @' }],
  })
  monitor.handle({ type: 'validation.error.occurred', data: 'no object' })
  expect(monitor.report().errors).toHaveLength(2)
})
