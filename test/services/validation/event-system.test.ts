import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type EventSystem, openEventSystem } from '../../../src/services/validation/event-system.ts'
import { hasServer, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'
import { idAt } from './validation-database.ts'

async function open(type: string, onError?: (error: Error) => void): Promise<EventSystem> {
  const env = { EVENT_BUS_TYPE: type, ...(type === 'redis' ? { REDIS_EVENT_URL: await serverUrl('redis') } : {}) }
  const topic = `v${randomUUID().slice(0, 8)}`
  const system = await openEventSystem({ env, topic, ...(onError ? { onError } : {}) })
  onTestFinished(() => system.close())
  return system
}

const run = { runId: idAt(1), kind: 'customer', recordId: 'c-1' } as const

describe.each(['memory', 'redis'])('the event system over %s', (type) => {
  const isMissing = type === 'redis' && !hasServer('redis')

  it.skipIf(isMissing)('publishes by contract, subscribes by pattern, measures phases and follows runs', async () => {
    const system = await open(type)
    const monitor = await system.watchValidations()
    const patterns = ['validation.*', 'validation.phase.*', '*.error.*', '*.completed', 'performance.metric.recorded']
    const seen = Object.fromEntries(patterns.map((pattern) => [pattern, [] as string[]]))
    for (const [pattern, types] of Object.entries(seen))
      await system.consumer.subscribe(pattern, (event) => void types.push(event.type))
    const about = { correlationId: 'run-1', subject: 'record/c-1' }
    expect(await system.publish.validationStarted(run, about)).toMatchObject({ state: 'stored' })
    await system.publish.phaseCompleted({ runId: run.runId, phase: 'parse', durationMs: 2 }, about)
    const error = { runId: run.runId, phase: 'schema', fieldPath: 'email', code: 'x', message: 'is none' } as const
    await system.publish.errorOccurred(error, about)
    const metric = { contextId: 'c', operation: 'parse', durationMs: 1, status: 'completed' } as const
    await system.publish.metricRecorded(metric)
    await system.coordinator.phase('parse', { operation: 'validation', contextId: 'c' }, () => 1)
    await system.publish.validationCompleted({ ...run, durationMs: 3 }, about)
    await until(() => monitor.report().completed === 1 && seen['*.completed']?.length === 2, { withinMs: 20_000 })
    expect(monitor.report()).toMatchObject({
      ...{ started: 1, completed: 1, running: 0 },
      phases: [{ phase: 'parse', completed: 1 }],
      errors: [{ fieldPath: 'email', count: 1, last: 'is none' }],
    })
    await until(() => Object.values(seen).flat().length === 9, { withinMs: 20_000 })
    for (const list of Object.values(seen)) list.sort()
    expect(seen).toEqual({
      'validation.*': [
        'validation.completed',
        'validation.error.occurred',
        'validation.phase.completed',
        'validation.started',
      ],
      'validation.phase.*': ['validation.phase.completed'],
      '*.error.*': ['validation.error.occurred'],
      '*.completed': ['validation.completed', 'validation.phase.completed'],
      'performance.metric.recorded': ['performance.metric.recorded'],
    })
  })

  it.skipIf(isMissing)('never throws, whatever is published, and tells it to a listener', async () => {
    const errors: Error[] = []
    const system = await open(type, (error) => errors.push(error))
    const wrong = { type: 'validation.started', data: { runId: 'no uuid' } }
    expect(await system.producer.publish(wrong)).toMatchObject({ state: 'refused', error: { code: 'contract' } })
    await system.close()
    expect(await system.publish.validationStarted(run)).toMatchObject({ state: 'refused', error: { code: 'closed' } })
    expect(errors).toHaveLength(2)
  })

  it.skipIf(isMissing)('hears nothing more after it has unsubscribed', async () => {
    const system = await open(type)
    const heard: string[] = []
    const first = await system.consumer.subscribe('validation.started', () => void heard.push('first'))
    await system.publish.validationStarted(run)
    await until(() => heard.length === 1, { withinMs: 20_000 })
    expect(await system.consumer.unsubscribe(first)).toBe(true)
    await system.consumer.subscribe('validation.completed', () => void heard.push('second'))
    await system.publish.validationStarted(run)
    await system.publish.validationCompleted({ ...run, durationMs: 1 })
    await until(() => heard.includes('second'), { withinMs: 20_000 })
    expect(heard).toEqual(['first', 'second'])
  })
})

describe('the event system over noop', () => {
  it('takes everything, tells nobody, and the program is the same', async () => {
    const system = await open('noop')
    expect(system.kind).toBe('noop')
    const monitor = await system.watchValidations()
    expect(await system.publish.validationStarted(run)).toMatchObject({ state: 'unsent' })
    expect(await system.coordinator.phase('parse', { operation: 'x', contextId: 'c' }, () => 42)).toBe(42)
    expect(monitor.report()).toMatchObject({ started: 0, running: 0 })
    expect(await system.consumer.unsubscribe(await system.consumer.subscribe('**', () => {}))).toBe(true)
  })

  it('costs at most 50 ns a publish', async () => {
    const { producer } = await open('noop')
    const event = { type: 'validation.started', data: run }
    // The best of many rounds: what else the machine does is not meant.
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 50; round++) {
      const began = performance.now()
      for (let n = 0; n < 20_000; n++) void producer.publish(event)
      best = Math.min(best, ((performance.now() - began) * 1e6) / 20_000)
    }
    expect(best).toBeLessThanOrEqual(50)
  })
})

it('a type of bus that there is not is refused before anything runs', async () => {
  await expect(open('carrier-pigeon')).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('it is none of'),
  })
})
