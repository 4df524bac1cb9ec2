// What the variables of the five documents do, each under the name that a document gives it. docs/settings.md names these tests.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createEventBus, type EventBusOptions } from '../../src/event-bus.ts'
import { defineBatchHandler } from '../../src/handle/define-batch-handler.ts'
import { createNowhere, type Ran, runHere } from '../commands/evt.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

const withinMs = 20_000
const project = `
const handlers = [
  { name: 'test.failing', on: ['a.failing'], retry: { initial: '1ms' }, handle() { throw new Error('always') } },
  { name: 'test.hanging', on: ['a.hanging'], retry: { initial: '1ms' }, handle: () => new Promise(() => {}) },
  { name: 'test.batch', on: ['a.many'], batch: 50, handle(events, { log }) {
    log.error('a batch of ' + events.length)
    log.info('nobody wants to know')
  } },
  { name: 'test.single', on: ['a.many'], handle: async (_, { sql }) => { await sql\`insert into effects default values\` } },
]
const [migrations, captures] = [['create table if not exists things (id int primary key)'], [{ table: 'things' }]]
export default { services: [{ name: 'test', migrations, captures, contracts: [], handlers: handlers.map((one) => ({ start: 'earliest', ...one })) }] }
`
const nowhere = createNowhere()
writeFileSync(join(nowhere.path, 'evt.config.mjs'), project)
afterAll(() => nowhere.dispose())

async function up({ url }: TestDatabase, env: Record<string, string>, work: () => Promise<unknown>): Promise<Ran> {
  const ending = new AbortController()
  const running = runHere(['up'], { store: url, cwd: nowhere.path, env, signal: ending.signal })
  try {
    await Promise.race([work(), running.then(({ stderr }) => Promise.reject(new Error(stderr)))])
  } finally {
    ending.abort()
  }
  return running
}

describe('evt up', () => {
  const topic = `t${randomUUID().slice(0, 8)}`
  let database: TestDatabase
  let ran: Ran
  let rounds = 0
  let dead: Record<string, unknown>[] = []
  let shares: number[] = []
  let carried: string[] = []

  /** All of them at once, on one bridge. */
  beforeAll(async () => {
    database = await createTestDatabase()
    const { store } = database
    const env = {
      EVENT_RETRY_ATTEMPTS: '2',
      EVENT_TIMEOUT: '0.2',
      EVENT_BATCH_SIZE: '3',
      EVENT_LOG_LEVEL: 'ERROR',
      EVENT_MONITORING_INTERVAL: '0.05',
      ...(hasServer('redis')
        ? {
            EVENT_BUS_TYPE: 'redis',
            REDIS_EVENT_URL: await serverUrl('redis'),
            REDIS_CHANNEL_PREFIX: topic,
            ENABLE_EVENT_STORE: 'true',
          }
        : {}),
    }
    await store.query('create table effects (xid xid8 default pg_current_xact_id())')
    await store.query(`select evt.publish('a.many', '{}') from generate_series(1, 40)`)
    await store.query(`select evt.publish(type, '{}') from unnest('{a.failing,a.hanging}'::text[]) type`)
    ran = await up(database, env, async () => {
      await until(async () => Number((await store.query('select count(*) as n from effects')).rows[0]?.n) === 40, {
        withinMs,
      })
      await until(async () => (await store.query('select from evt.dead_letters')).rows.length === 2, { withinMs })
      const untilMs = performance.now() + withinMs
      const counted = `select position >= (select max(position) from evt.log) as all from evt.watch_tasks where task = 'analytics'`
      while (rounds < 6 && performance.now() < untilMs) {
        await store.query(`select evt.publish('a.round', '{}')`)
        await until(
          async () => Number((await store.query('select max(position) as n from evt.log')).rows[0]?.n) === 43 + rounds,
        )
        await until(async () => (await store.query(counted)).rows[0]?.all === true, { withinMs })
        rounds += 1
      }
      if (hasServer('redis')) carried = await typesIn({ url: await serverUrl('redis'), topic }, 42)
    })
    dead = [
      ...(
        await store.query(
          'select type, jsonb_array_length(attempts) as attempts, error_message as said from evt.dead_letters order by type',
        )
      ).rows,
    ]
    shares = (await store.query('select count(*)::int as n from effects group by xid')).rows.map(({ n }) => Number(n))
  }, 90_000)

  it('tries a failing event EVENT_RETRY_ATTEMPTS times', () => {
    expect(dead).toMatchObject([
      { type: 'a.failing', attempts: 2 },
      { type: 'a.hanging', attempts: 2 },
    ])
  })

  it('gives an attempt EVENT_TIMEOUT seconds', () => {
    expect(dead[1]).toMatchObject({ type: 'a.hanging', said: expect.stringContaining('200') })
  })

  it('lets a handler take EVENT_BATCH_SIZE events at once, and no more', () => {
    expect(Math.max(...shares)).toBeLessThanOrEqual(3)
    expect(shares.some((n) => n > 1)).toBe(true)
    const batches = [...ran.stderr.matchAll(/a batch of (\d+)/g)].map(([, size]) => Number(size))
    expect(Math.max(...batches)).toBe(3)
  })

  it('logs from EVENT_LOG_LEVEL on', () => {
    expect(ran.stderr).toContain('a batch of')
    expect(ran.stderr).not.toContain('nobody wants to know')
  })

  it('looks at traffic every EVENT_MONITORING_INTERVAL', () => {
    // By default it would have looked four times.
    expect(rounds).toBe(6)
  })

  it.skipIf(!hasServer('redis'))(
    'carries the store to the bus with ENABLE_EVENT_STORE, under REDIS_CHANNEL_PREFIX',
    () => {
      expect(carried.filter((type) => type === 'a.many')).toHaveLength(40)
    },
  )

  it('runs no handlers with EVENT_PROCESSING_ENABLED=false, and stores on', async () => {
    const own = await createTestDatabase()
    await own.store.query(`select evt.publish('a.failing', '{}')`)
    const stored = (count: number) =>
      until(async () => (await own.store.query('select from evt.log')).rows.length === count, { withinMs })
    const off = await up(own, { EVENT_PROCESSING_ENABLED: 'false' }, async () => {
      await stored(1)
      await own.store.query('insert into things values (7)')
      await stored(2)
    })
    const types = (await own.store.query('select type from evt.outbox order by seq')).rows.map(({ type }) => type)
    expect(types).toEqual(['a.failing', 'thing.created'])
    expect(off.stderr).toContain('handlers do not run: processing is off (EVENT_PROCESSING_ENABLED)')
    expect((await own.store.query('select from evt.lanes')).rows).toEqual([])
  })
})

async function busOn(options: EventBusOptions) {
  const bus = createEventBus({ cwd: '/', lanes: 1, grace: '300ms', ...options })
  onTestFinished(() => bus.stop())
  await bus.start()
  return bus
}

/** Of the first so many events there. */
async function typesIn(place: EventBusOptions, count: number): Promise<string[]> {
  const types: string[] = []
  const bus = createEventBus({ cwd: '/', ...place })
  await bus.start()
  const name = `reads.${randomUUID().slice(0, 8)}`
  await bus.subscribe('**', ({ type }) => void types.push(type), { name, start: 'earliest' })
  await until(() => types.length >= count, { withinMs })
  await bus.stop()
  return types
}

describe('a bus', () => {
  it.each(['EVENT_SUBSCRIBER_CONSUMER_GROUP', 'KAFKA_CONSUMER_GROUP'])(
    'shares its work within %s',
    async (variable) => {
      const topic = randomUUID()
      const seen: string[] = []
      const join = async (group: string) => {
        const bus = await busOn({ env: { EVENT_BUS_TYPE: 'memory', [variable]: group }, topic })
        await bus.subscribe('a.*', () => void seen.push(group), { name: 'test.shared' })
        return bus
      }
      const [bus] = [await join('one'), await join('one'), await join('two')]
      await bus.publishAll(Array.from({ length: 20 }, (_, n) => ({ type: 'a.b', data: n })))
      await until(() => seen.length === 40)
      expect(seen.filter((group) => group === 'one')).toHaveLength(20)
    },
  )

  it('takes EVENT_SUBSCRIBER_BATCH_SIZE events at once, and no more', async () => {
    const sizes: number[] = []
    const bus = await busOn({
      env: { EVENT_BUS_TYPE: 'memory', EVENT_SUBSCRIBER_BATCH_SIZE: '4' },
      topic: randomUUID(),
    })
    await bus.publishAll(Array.from({ length: 40 }, (_, n) => ({ type: 'a.b', subject: 's/1', data: n })))
    const handle = (events: readonly EvtEvent[]) => void sizes.push(events.length)
    await bus.handle(defineBatchHandler({ name: 'test.batch', on: ['a.*'], start: 'earliest', batch: 50, handle }))
    await until(() => sizes.reduce((sum, size) => sum + size, 0) === 40)
    expect(Math.max(...sizes)).toBe(4)
    // Of a handler that does not end, as many wait as were fetched.
    await bus.subscribe('a.*', () => new Promise(() => {}), { name: 'test.slow', start: 'earliest', concurrency: 1 })
    const waiting = () => bus.stats().handlers.find(({ handler }) => handler === 'test.slow')?.queued ?? 0
    await until(() => waiting() > 0)
    expect(waiting()).toBeLessThanOrEqual(4)
  })

  it.skipIf(!hasServer('redis'))(
    'looks by itself every EVENT_SUBSCRIBER_BLOCK_TIME milliseconds on Redis',
    async () => {
      const url = await serverUrl('redis')
      const topic = `t${randomUUID().slice(0, 8)}`
      const monitor = connect(Number(new URL(url).port), new URL(url).hostname)
      onTestFinished(() => void monitor.destroy())
      let looks = 0
      createInterface(monitor).on('line', (line) => {
        if (line.includes('"xrange"') && line.includes(topic)) looks += 1
      })
      monitor.write('MONITOR\r\n')
      const env = { EVENT_BUS_TYPE: 'redis', REDIS_EVENT_URL: url, EVENT_SUBSCRIBER_BLOCK_TIME: '20' }
      const bus = await busOn({ env, topic })
      await bus.subscribe('a.*', () => {})
      // By default a reader without traffic looks every two seconds.
      await until(() => looks > 30, { withinMs })
    },
  )

  it.skipIf(!hasServer('kafka'))('has its topic under KAFKA_TOPIC_PREFIX', async () => {
    const url = await serverUrl('kafka')
    const topic = `t${randomUUID().slice(0, 8)}`
    const env = { EVENT_BUS_TYPE: 'kafka', KAFKA_BOOTSTRAP_SERVERS: new URL(url).host, KAFKA_TOPIC_PREFIX: topic }
    const publisher = createPublisher({ env, cwd: '/', lanes: 1, source: 'test' })
    onTestFinished(() => publisher.close())
    expect(await publisher.send({ type: 'a.kafka', data: 1 })).toMatchObject({ state: 'stored' })
    expect(await typesIn({ url, topic, lanes: 1 }, 1)).toEqual(['a.kafka'])
  })
})

describe('a publisher', () => {
  it.skipIf(!hasServer('redis'))('goes to EVENT_PUBLISHER_REDIS_URL', async () => {
    const url = await serverUrl('redis')
    const topic = `t${randomUUID().slice(0, 8)}`
    const env = { EVENT_BUS_TYPE: 'redis', EVENT_PUBLISHER_REDIS_URL: url }
    const publisher = createPublisher({ env, cwd: '/', topic, lanes: 1, source: 'test' })
    onTestFinished(() => publisher.close())
    expect(await publisher.send({ type: 'a.redis', data: 1 })).toMatchObject({ state: 'stored' })
    expect(await typesIn({ url, topic, lanes: 1 }, 1)).toEqual(['a.redis'])
  })

  it('gives up after EVENT_PUBLISHER_PUBLISH_TIMEOUT milliseconds', async () => {
    const env = {
      EVENT_BUS_TYPE: 'redis',
      REDIS_EVENT_URL: 'redis://127.0.0.1:1',
      EVENT_PUBLISHER_PUBLISH_TIMEOUT: '100',
    }
    const publisher = createPublisher({ env, cwd: '/', source: 'test' })
    onTestFinished(() => publisher.close({ grace: '1s' }))
    const outcome = publisher.send({ type: 'a.b', data: 1 })
    // By default it would be tried for 30 s.
    const late = new Promise((resolve) => setTimeout(resolve, 15_000).unref())
    expect(await Promise.race([outcome, late])).toMatchObject({ state: 'refused', error: { code: 'connect' } })
  })
})
