// The document of the icon service: its own examples and promises, where no other test holds them (see map/1-icon-service.ts).
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeAs } from '../../src/core/codec/encode-as.ts'
import { fromHeaders } from '../../src/core/codec/headers.ts'
import { createBridge, type ProcessingResult, readAnalytics } from '../../src/index.ts'
import { icons } from '../../src/services/icons/service.ts'
import { createTraffic } from '../../src/services/icons/traffic.ts'
import { createLogReader } from '../../src/store/log.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const patience = { withinMs: 30_000 }
const [ada, file] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000f']
const results: ProcessingResult[] = []
const told: { channel: string; payload: string }[] = []
let database: TestDatabase
let bridge: ReturnType<typeof createBridge>
let listener: pg.Client

const rows = async (text: string, ...values: readonly unknown[]) => (await database.store.query(text, values)).rows
const number = async (text: string) => Number((await rows(`select (${text})::int as n`))[0]?.n)

beforeAll(async () => {
  database = await createTestDatabase({ max: 8 })
  const { store, url } = database
  bridge = createBridge({
    ...{ store: url, services: [icons], monitoringInterval: '50ms' },
    onResult: (result) => void results.push(result),
  })
  await bridge.start()
  listener = new pg.Client(url)
  await listener.connect()
  listener.on('notification', ({ channel, payload = '' }) => void told.push({ channel, payload }))
  for (const channel of ['user_events', 'document_events', 'system_events']) await listener.query(`listen ${channel}`)
  await store.query(`insert into app.users (id, email, name) values ($1, 'user@example.com', 'Ada')`, [ada])
  await store.query('update app.users set plan = $2 where id = $1', [ada, 'pro'])
  await store.query(
    `insert into app.documents (id, user_id, title, content) values ($1, $2, 'Architecture Diagram', ':home:')`,
    [file, ada],
  )
  await store.query(`update app.documents set content = ':star:', updated_at = now() where id = $1`, [file])
  await store.query('update app.documents set is_public = true where id = $1', [file])
  await store.query(
    `select evt.publish('auth.login', json_build_object('user_id', $1::text, 'auth_data',
      json_build_object('session_id', $2::text, 'ip', '10.0.0.1', 'user_agent', 'test')), 'user/' || $1, source => 'main-backend')`,
    [ada, file],
  )
  await store.query(`insert into app.system_settings (key, value) values ('maintenance_mode', '30m')`)
  await store.query('delete from app.documents where id = $1', [file])
  await store.query('update app.users set is_active = false where id = $1', [ada])
  await store.query('delete from app.users where id = $1', [ada])
  // Ten of the application; a setting makes a system event, a user who leaves makes a cache invalid.
  await until(async () => (await number('select count(*) from icons.event_log')) === 12, patience)
  await until(async () => (await number('select count(*) from evt.log')) === 12, patience)
  await until(async () => (await number('select count(*) from icons.maintenance')) === 1, patience)
})
afterAll(async () => {
  await listener?.end()
  await bridge?.stop()
  await database?.[Symbol.asyncDispose]()
})

describe('changes of the database', () => {
  it('are events of the types that the document names, with the log of them for debugging', async () => {
    const types = (await rows('select distinct type from icons.event_log')).map(({ type }) => type)
    expect(types).toEqual(
      expect.arrayContaining([
        ...['user.created', 'user.updated', 'user.suspended', 'user.deleted'],
        ...['document.created', 'document.updated', 'document.published', 'document.deleted'],
        ...['auth.login', 'system.maintenance_mode', 'system.cache_invalidated'],
      ]),
    )
  })

  it('are told on the three channels, standardised as JSON', async () => {
    await until(() => new Set(told.map(({ channel }) => channel)).size === 3, patience)
    const first = (channel: string) => JSON.parse(told.find((one) => one.channel === channel)?.payload ?? '{}')
    const facts = { event_id: expect.any(String), timestamp: expect.any(String) }
    expect(first('user_events')).toMatchObject({ ...facts, event_type: 'user.created', user_id: ada })
    expect(first('document_events')).toMatchObject({ ...facts, event_type: 'document.created', document_id: file })
    expect(first('system_events')).toMatchObject({ ...facts, event_type: 'system_setting.created' })
  })

  it('have the payload that the document shows', async () => {
    const reader = createLogReader(database.store)
    const entries = await reader.read(0n, 100)
    await reader.close()
    const payloadOf = (type: string) => {
      const entry = entries.find((one) => one.type === type) ?? expect.unreachable(type)
      const event = fromHeaders(entry.headers, Buffer.from(entry.dataText), { verify: true })
      return JSON.parse(Buffer.from(encodeAs('icons', event).body).toString())
    }
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/)
    expect(payloadOf('user.created')).toMatchObject({
      ...{ event_type: 'user.created', user_id: ada, timestamp: time },
      user_data: { email: 'user@example.com', is_active: true, created_at: time },
    })
    expect(payloadOf('document.updated')).toMatchObject({
      ...{ event_type: 'document.updated', document_id: file, user_id: ada, timestamp: time },
      document_data: { title: 'Architecture Diagram', is_public: false, updated_at: time },
      changes: ['content', 'updated_at'],
    })
    expect(payloadOf('system.maintenance_mode')).toMatchObject({
      ...{ event_type: 'system.maintenance_mode', timestamp: time, correlation_id: expect.any(String) },
      system_data: { maintenance_enabled: true, estimated_duration: '30m', affected_services: ['icon-service'] },
    })
  })

  it('are kept for 30 days', async () => {
    expect(await rows(`select retention_days as days from evt.classes where class = 'default'`)).toEqual([{ days: 30 }])
  })
})

describe('the service', () => {
  it('has done what each event asks for', async () => {
    await until(
      async () => (await number('select count(*) from icons.users where deleted_at is not null')) === 1,
      patience,
    )
    await until(async () => (await number('select count(*) from icons.documents where deleted_at is not null')) === 1)
    await until(async () => (await number('select count(*) from icons.preferences')) === 0, patience)
    expect(await rows('select service, enabled, estimated_duration from icons.maintenance')).toEqual([
      { service: 'icon-service', enabled: true, estimated_duration: '30m' },
    ])
    expect(
      results.find(({ type, handler }) => type === 'user.created' && handler === 'icons.preferences'),
    ).toMatchObject({
      ...{ state: 'handled', attempt: 1, group: 'icons', subject: `user/${ada}`, durationMs: expect.any(Number) },
    })
  })

  it('knows how many events the database makes, by table and by writer', async () => {
    await until(async () => (await readAnalytics(database.store)).sources.length >= 4, patience)
    const analytics = await readAnalytics(database.store)
    const sources = Object.fromEntries(analytics.sources.map(({ source, events }) => [source, events]))
    const byTable = { 'capture/app.users': 4, 'capture/app.documents': 4, 'capture/app.system_settings': 1 }
    expect(sources).toMatchObject({ ...byTable, 'main-backend': 1 })
    expect(analytics.sources[0]?.perMinute).toBeGreaterThan(0)
  })

  it('handles a storm with at least 99.9 % success and less than 50 MB more memory', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const used = () => {
      gc()
      return process.memoryUsage().heapUsed + process.memoryUsage().external
    }
    const [before, from] = [used(), results.length]
    const signal = new AbortController().signal
    await createTraffic({
      database: database.store,
      seed: 4,
      ratePerSecond: 1e6,
      poisonRatio: 0,
      count: 400,
      signal,
    }).run()
    await until(
      async () =>
        (await number(
          `select count(*) from app.documents d where not exists (select from icons.documents i where i.document_id = d.id)`,
        )) +
          (await number(
            `select count(*) from evt.outbox o left join evt.log l using (xid, seq) where l.position is null`,
          )) ===
        0,
      patience,
    )
    const grown = (used() - before) / 1_048_576
    const settled = results.slice(from).filter(({ state }) => state === 'handled' || state === 'dead')
    expect(settled.length).toBeGreaterThan(300)
    expect(settled.filter(({ state }) => state === 'handled').length / settled.length).toBeGreaterThanOrEqual(0.999)
    expect(grown).toBeLessThan(50)
  })
})
