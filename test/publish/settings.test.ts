import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { publishOf } from '../../src/config/publish.ts'
import { checkConfigFile } from '../../src/config/schema.ts'
import { type PublishOptions, resolvePublish } from '../../src/core/publish-options.ts'
import { createEventBus, type EventBusOptions } from '../../src/event-bus.ts'
import { until } from '../setup/until.ts'

async function busOf(options: EventBusOptions) {
  const bus = createEventBus({ cwd: import.meta.dirname, ...options })
  onTestFinished(() => bus.stop())
  await bus.start()
  return bus
}
const some = (count: number) => Array.from({ length: count }, (_, n) => ({ type: 'a.b', data: { n } }))

describe('settings of publishing', () => {
  it('EVENT_PUBLISHER_MAX_BATCH_SIZE is the size of a batch', async () => {
    const bus = await busOf({ env: { EVENT_BUS_TYPE: 'memory', EVENT_PUBLISHER_MAX_BATCH_SIZE: '10' } })
    await Promise.all(some(100).map(bus.publish))
    expect(bus.stats().publishers).toMatchObject([{ published: 100, batches: 10, averageBatch: 10 }])
  })

  it('EVENT_PUBLISHER_PUBLISH_TIMEOUT is in milliseconds, and counts before the object of settings', async () => {
    const env = { EVENT_PUBLISHER_PUBLISH_TIMEOUT: '5000', EVT_PUBLISH: '{"timeout":"1s","rate":"10/s"}' }
    const config = await loadConfig({ cwd: import.meta.dirname, env, flags: {} })
    expect(resolvePublish(publishOf(config))).toMatchObject({ timeoutMs: 5_000, rate: { perSecond: 10, burst: 10 } })
  })

  it('EVENT_SUBSCRIBER_MAX_RETRIES is the number of attempts', async () => {
    const bus = await busOf({ env: { EVENT_BUS_TYPE: 'memory', EVENT_SUBSCRIBER_MAX_RETRIES: '1' } })
    let runs = 0
    await bus.subscribe('a.failing', () => {
      runs += 1
      throw new Error('always')
    })
    await bus.publish({ type: 'a.failing', data: 1 })
    await until(() => bus.stats().handlers[0]?.dead === 1)
    expect(runs).toBe(1)
  })

  it('options of the bus count before the configuration', async () => {
    const env = { EVENT_BUS_TYPE: 'memory', EVT_PUBLISH: '{"rate":"1/s","batch":{"size":5}}' }
    const bus = await busOf({ env, publish: { rate: '100000/s' } })
    await Promise.all(some(50).map(bus.publish))
    expect(bus.stats().publishers).toMatchObject([{ published: 50, batches: 10, rateLimited: 0 }])
  })

  it('a file may hold them, and is told what is wrong', () => {
    const publish = { batch: { size: 100, wait: '5ms' }, rate: '1000/s', duplicates: false, sequence: { gaps: 'wait' } }
    expect(checkConfigFile({ publish }, 'evt.config.json').publish).toEqual(publish)
    expect(() => checkConfigFile({ publish: { rate: 'fast' } }, 'evt.config.json')).toThrow(/publish: rate/)
    expect(() => checkConfigFile({ publish: { rates: 1 } }, 'evt.config.json')).toThrow(/rates/)
  })

  it.each<[PublishOptions, RegExp]>([
    [{ batch: { size: 0 } }, /publish\.batch\.size: it must be from 1 to 10000/],
    [{ rate: 0 }, /publish\.rate: it must be at least 1\/s/],
    [{ rate: 'x/s' }, /publish\.rate/],
    [{ burst: 5 }, /publish\.burst: there is no rate/],
    [{ duplicates: { window: 'long' } }, /publish\.duplicates\.window/],
    [{ duplicates: { by: 'name' as never } }, /publish\.duplicates\.by: it is none of id, content/],
    [{ sequence: { gaps: 'maybe' as never } }, /publish\.sequence\.gaps/],
    [{ most: { bytes: '2M' } }, /publish\.most\.bytes/],
    [{ timeout: '0' }, /publish\.timeout/],
    [{ compress: 'small' }, /publish\.compress/],
  ])('refuses %j', (options, message) => {
    expect(() => resolvePublish(options)).toThrow(message)
  })

  it('has the defaults that the documents ask for', () => {
    expect(resolvePublish({ rate: '1000/s' })).toMatchObject({
      rate: { perSecond: 1_000, burst: 1_000, bypassPerSecond: 100 },
      duplicates: { by: 'id', windowMs: 3_600_000 },
      deadLetters: true,
    })
  })
})
