import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createHistogram } from '../../src/core/histogram.ts'
import { createBridge, defineHandler } from '../../src/index.ts'
import { histogram } from '../../src/watch/metrics/family.ts'
import { createMetrics } from '../../src/watch/metrics/metrics.ts'
import { renderInflux, renderPrometheus } from '../../src/watch/metrics/render.ts'
import { createRecorder } from '../../src/watch/recorder.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const patience = { withinMs: 20_000 }

describe('metrics of a bridge', () => {
  let database: TestDatabase
  let bridge: ReturnType<typeof createBridge>
  beforeAll(async () => {
    database = await createTestDatabase()
    const welcome = defineHandler({
      name: 'mail.welcome',
      on: ['user.created'],
      retry: { attempts: 1 },
      async handle(event, ctx) {
        await ctx.sql`select 1`
        if ((event.data as { poison?: boolean }).poison) throw new TypeError('no such user')
      },
    })
    bridge = createBridge({ store: database.url, handlers: [welcome], http: { port: 0 } })
    await bridge.start()
    for (const nth of [1, 2, 3])
      await database.store.query(`select evt.publish('user.created', '{}', $1, source => 'accounts')`, [`user/${nth}`])
    await database.store.query(`select evt.publish('user.created', '{"poison": true}', 'user/9')`)
  })
  afterAll(async () => {
    await bridge.stop()
    await database[Symbol.asyncDispose]()
  })
  const scrape = async (path = '/metrics', headers = {}) =>
    (await fetch(`${bridge.httpUrl}${path}`, { headers })).text()

  it('are served as Prometheus reads them, by handler, type, stage and queue', async () => {
    const own = 'handler="mail.welcome",service="mail"'
    const text = await until(async () => {
      const now = await scrape()
      return now.includes(`evt_handler_handled_total{${own}} 3`) && now.includes('evt_dead_letters_open 1')
        ? now
        : undefined
    }, patience)
    for (const line of [
      `evt_handler_dead_total{${own}} 1`,
      `evt_handler_type_events_total{${own},type="user.created",outcome="handled"} 3`,
      `evt_handler_type_events_total{${own},type="user.created",outcome="dead"} 1`,
      `evt_handler_run_seconds_bucket{${own},le="+Inf"} 3`,
      `evt_handler_end_to_end_seconds_count{${own}} 3`,
      'evt_stage_seconds_count{stage="relay"} 3',
      'evt_bridge_leading 1',
      'evt_leaders 1',
      'evt_log_position 4',
      'evt_store_up 1',
      'evt_group_lag_events{group="mail.welcome"} 0',
      'evt_oldest_age_seconds{stage="relay"} 0',
      'evt_notify_queue_usage_ratio 0',
      'evt_bridges{state="silent"} 0',
    ])
      expect(text).toContain(`${line}\n`)
    expect(text).toMatch(/^evt_connections\{application="evt handlers"\} \d+$/m)
    expect(text).toMatch(/^evt_dead_letters_cause\{cause="\w+",handler="mail.welcome",type="user.created"\} 1$/m)
    expect(text).toMatch(/^evt_watch_lag_events\{task="analytics"\} \d+$/m)
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m)
    // Each family once, with its help and type.
    const families = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)
    expect(new Set(families).size).toBe(families.length)
  })

  it('name who holds the horizon, as long as it is held', async () => {
    const client = await database.store.pool.connect()
    onTestFinished(() => client.release())
    await client.query(`set application_name = 'a long report'; begin isolation level repeatable read; select 1`)
    await until(async () =>
      /evt_horizon_age_seconds\{kind="backend",who="a long report",pid="\d+"\} /.test(await scrape()),
    )
    await client.query('rollback')
  })

  it('are lines for InfluxDB where the client asks for them', async () => {
    for (const text of [
      await scrape('/metrics?format=influx'),
      await scrape('/metrics', { accept: 'application/influx' }),
    ])
      expect(text).toMatch(
        new RegExp(
          `^evt_handler_handled_total,bridge=${bridge.instance},handler=mail.welcome,service=mail value=\\d+$`,
          'm',
        ),
      )
    expect((await fetch(`${bridge.httpUrl}/metrics?format=xml`)).status).toBe(400)
  })
})

it('show what the process counted when the store is away, and say so', async () => {
  const { store, url } = await createTestDatabase()
  const recorder = createRecorder()
  recorder.sequenced(7)
  const metrics = createMetrics({ store, recorder, instance: 'a', version: '1', roles: ['relay'] })
  expect(url).toContain('postgres')
  await store.close()
  const { text } = await metrics()
  expect(text).toContain('evt_store_up 0\n')
  expect(text).toContain('evt_sequenced_events_total 7\n')
})

it('escape what events and operators may write into labels', () => {
  const value = {
    name: 'evt_x',
    help: 'a\nb',
    type: 'gauge' as const,
    values: [{ labels: { type: 'a"b\\c\nd e,f=g' }, value: 1 }],
  }
  expect(renderPrometheus([value]).text).toBe(
    '# HELP evt_x a\\nb\n# TYPE evt_x gauge\nevt_x{type="a\\"b\\\\c\\nd e,f=g"} 1\n',
  )
  expect(renderInflux([value], {}).text).toBe('evt_x,type=a"b\\\\c\\ d\\ e\\,f\\=g value=1\n')
})

it('count each sample of a histogram in its bucket and all above', () => {
  const samples = createHistogram()
  for (const us of [100, 600, 4_000, 90_000_000]) samples.record(us)
  const { values } = histogram('evt_x_seconds', '', [{ labels: {}, encoded: samples.encode() }])
  const at = (le: string) => values.find(({ labels }) => labels.le === le)?.value
  expect([at('0.0005'), at('0.001'), at('0.005'), at('60'), at('+Inf')]).toEqual([1, 2, 3, 3, 4])
  expect(values.find(({ metricName }) => metricName === 'evt_x_seconds_sum')?.value).toBeCloseTo(90.0047, 3)
})

it('keep the number of types of one handler bounded', () => {
  const recorder = createRecorder()
  const meter = recorder.handler({ handler: 'a.b', group: 'a', priority: 'normal', concurrency: 1 })
  for (let nth = 0; nth < 5_000; nth++) meter.failed('x', `type.n${nth}`)
  const types = recorder.types()
  expect(types.length).toBe(101)
  expect(types.find(({ type }) => type === 'other')?.failed).toBe(4_900)
})
