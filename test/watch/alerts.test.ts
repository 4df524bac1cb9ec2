import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AlertRule } from '../../src/core/alerts/alert-rule.ts'
import { defaultAlerts } from '../../src/core/alerts/defaults.ts'
import { createHistogram } from '../../src/core/histogram.ts'
import { createBridge, defineHandler } from '../../src/index.ts'
import { listAlerts } from '../../src/store/alerts.ts'
import type { Store } from '../../src/store/connection.ts'
import { findReader, removeReader } from '../../src/store/decommission.ts'
import { type AlertsOptions, startAlerts } from '../../src/watch/alerts/alert-loop.ts'
import { sequence } from '../commands/sequence.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const patience = { withinMs: 20_000 }
const onlyOwn = defaultAlerts.map(({ name }) => ({ name, off: true }))
const silent = { debug() {}, info() {}, warn() {}, error() {} }

const asEvents = (rule: AlertRule): AlertRule => ({ to: ['log', 'event'], ...rule })

function start(store: Store, rules: readonly AlertRule[], more: Partial<AlertsOptions> = {}) {
  const lines: string[] = []
  const line = (message: string, fields?: object) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`)
  const log = { debug: line, info: line, warn: line, error: line }
  const others = onlyOwn.filter(({ name }) => !rules.some((rule) => rule.name === name))
  const all = { store, instance: `i${Math.random()}`, rules: [...others, ...rules.map(asEvents)], log, calm: silent }
  const alerts = startAlerts({ ...all, everyMs: 50, minuteMs: 200, ...more })
  onTestFinished(() => alerts.stop())
  return { ...alerts, lines }
}

const publish = async (store: Store, type: string, subject = 's', correlation = 'c') => {
  await store.query(`select evt.publish($1, '{"n": 1}', $2, correlation_id => $3)`, [type, subject, correlation])
  await sequence(store)
}
const told = async (store: Store) =>
  (await store.query(`select type, subject from evt.outbox where type like 'alert.%' order by seq`)).rows.map(
    ({ type, subject }) => `${type} ${subject}`,
  )

describe('alerts', () => {
  it('fire and end, each once, as events and in the log, whoever looks', async () => {
    const { store } = await createTestDatabase()
    const rule = { name: 'waiting', when: 'store.outboxPending >= 2', severity: 'critical' } as const
    const both = [start(store, [rule]), start(store, [rule])]
    for (const type of ['a.b', 'a.b', 'a.b']) await store.query(`select evt.publish($1, '{}')`, [type])
    await until(async () => (await told(store)).length === 1, patience)
    const [firing] = await listAlerts(store)
    expect(firing).toMatchObject({
      alert: 'waiting',
      key: '',
      state: 'firing',
      severity: 'critical',
      says: expect.stringContaining('store.outboxPending is'),
    })
    await sequence(store)
    await until(async () => (await told(store)).length === 2, patience)
    expect(await told(store)).toEqual(['alert.raised alert/waiting', 'alert.resolved alert/waiting'])
    expect(await listAlerts(store)).toEqual([])
    expect(await listAlerts(store, { all: true })).toMatchObject([{ state: 'resolved' }])
    const lines = both.flatMap((one) => one.lines)
    expect(lines.map((text) => text.slice(0, 20))).toEqual(['an alert fires: stor', 'an alert is over {"a'])
  })

  it('go on where another bridge ended, and are not told again', async () => {
    const { store } = await createTestDatabase()
    const rule = { name: 'burst', when: { count: 'login.failed', atLeast: 3, within: '1h', by: 'subject' } } as const
    const first = start(store, [rule])
    await until(async () => (await store.query('select from evt.watch_tasks')).rows.length === 1)
    await publish(store, 'login.failed', 'user/1')
    await publish(store, 'login.failed', 'user/1')
    const reached = async () =>
      Number((await store.query(`select position from evt.watch_tasks where task = 'alerts'`)).rows[0]?.position)
    await until(async () => (await reached()) === 2, patience)
    await first.stop()
    const second = start(store, [rule])
    await publish(store, 'login.failed', 'user/1')
    await until(async () => (await told(store)).length === 1, patience)
    await second.stop()
    const third = start(store, [rule])
    await sequence(store)
    await until(async () => (await reached()) >= 4, patience)
    expect(await told(store)).toEqual(['alert.raised alert/burst/user/1'])
    await third.stop()
    // A rule that is gone from the configuration is over.
    start(store, [])
    await until(async () => (await told(store)).length === 2, patience)
  })

  it('are told once each, of 100 keys a rule, whatever comes of them in which order', async () => {
    const { store } = await createTestDatabase()
    const flood = { count: 'login.failed', atLeast: 1, within: '1h', by: 'subject' } as const
    const rules = Array.from({ length: 11 }, (_, n) => ({ name: `flood-${n}`, when: flood, to: ['log'] }))
    const { lines, stop } = start(store, rules)
    const task = async () =>
      (
        await store.query(
          `select position::int, (memory->'patterns'->>'position')::int as written from evt.watch_tasks where task = 'alerts'`,
        )
      ).rows[0] as { position: number; written: number } | undefined
    const publishAll = async (from: number, to: number) => {
      await store.query(`select evt.publish('login.failed', '{}', 's' || n) from generate_series($1::int, $2::int) n`, [
        from,
        to,
      ])
      await sequence(store)
    }
    await until(async () => (await task())?.written === 0, patience)
    await publishAll(1, 150)
    await until(() => lines.length > 0, patience)
    const before = lines.length
    await publishAll(1, 50)
    await until(async () => (await task())?.position === 200, patience)
    // What is remembered is not written at each look.
    expect((await task())?.written).toBe(0)
    await stop()
    expect(await task()).toEqual({ position: 200, written: 200 })
    expect([before, lines.length]).toEqual([1_100, 1_100])
  })

  it('say when the log is read behind, and tell what is in it all the same', async () => {
    const { store } = await createTestDatabase()
    await store.query(`insert into evt.watch_tasks (task, position) values ('alerts', 0)`)
    await store.query(`select evt.publish('order.placed', '{}', 'order/' || n) from generate_series(1, 12000) n`)
    await sequence(store)
    const warned: string[] = []
    start(store, [{ name: 'burst', when: { count: 'order.*', atLeast: 10_000, within: '1h' } }], {
      ...{ readMs: 0, calm: { ...silent, warn: (message: string) => void warned.push(message) } },
    })
    await until(async () => (await told(store)).length === 1, patience)
    expect(warned.slice(0, 1)).toEqual([expect.stringContaining('are behind the log')])
  })

  it('wait for as long as their condition has to hold, and are told again while it does', async () => {
    const { store } = await createTestDatabase()
    const rules = [
      { name: 'long', when: 'store.outboxPending > 0', for: '1h' },
      { name: 'again', when: 'store.outboxPending > 0', repeat: '100ms' },
    ]
    const { lines } = start(store, rules)
    await store.query(`select evt.publish('a.b', '{}')`)
    await until(() => lines.filter((text) => text.startsWith('an alert still fires')).length >= 2, patience)
    expect((await told(store)).filter((text) => text.startsWith('alert.raised'))).toEqual(['alert.raised alert/again'])
    expect(await listAlerts(store)).toMatchObject([
      { alert: 'again', state: 'firing' },
      { alert: 'long', state: 'pending' },
    ])
    await sequence(store)
    await until(async () => (await listAlerts(store)).length === 0, patience)
  })

  it('miss an event that does not come in its time', async () => {
    const { store } = await createTestDatabase()
    const { startAnalytics } = await import('../../src/watch/analytics/count-traffic.ts')
    const analytics = startAnalytics({ store, instance: 'x', log: silent, everyMs: 50 })
    onTestFinished(() => analytics.stop())
    start(store, [{ name: 'heartbeat', when: { missing: 'system.beat', within: '500ms' } }])
    await until(async () => (await told(store)).length === 1, patience)
    await publish(store, 'system.beat')
    await until(async () => (await told(store)).length >= 2, patience)
    expect((await told(store)).slice(0, 2)).toEqual(['alert.raised alert/heartbeat', 'alert.resolved alert/heartbeat'])
  })

  it('say that generation has stopped until it goes on, whatever evt itself publishes meanwhile', async () => {
    const { store } = await createTestDatabase()
    await store.query(`insert into evt.analytics_minutes (minute, type, source, events, bytes)
      select date_trunc('minute', now()) - n * interval '1 minute', 'a.b', 's', 60, 1 from generate_series(31, 59) n`)
    const { startAnalytics } = await import('../../src/watch/analytics/count-traffic.ts')
    // It has looked once; what comes after is not counted yet.
    const analytics = startAnalytics({ store, instance: 'x', log: silent, everyMs: 600_000 })
    onTestFinished(() => analytics.stop())
    start(store, [
      { name: 'stopped', when: 'events.usualPerMinute >= 30 and events.perMinute == 0' },
      { name: 'flows', when: 'events.perMinute > 0' },
    ])
    const leaseMs = async () =>
      Number(
        (
          await store.query(
            `select extract(epoch from lease_until) * 1000 as ms from evt.watch_tasks where task = 'alerts'`,
          )
        ).rows[0]?.ms,
      )
    await until(async () => (await told(store)).length === 1, patience)
    for (const type of ['saga.due.sign-up', 'alert.raised']) await publish(store, type)
    // Several minutes of it, as this bridge has them.
    const beforeMs = await leaseMs()
    await until(async () => (await leaseMs()) > beforeMs + 600, patience)
    expect(await told(store)).toEqual(['alert.raised alert/stopped', 'alert.raised s'])
    await publish(store, 'a.b')
    await until(async () => (await told(store)).length >= 4, patience)
    expect((await told(store)).slice(2, 4).toSorted()).toEqual([
      'alert.raised alert/flows',
      'alert.resolved alert/stopped',
    ])
  })

  it('say that a handler crashed until it is taken away', async () => {
    const { store } = await createTestDatabase()
    const empty = createHistogram().encode()
    const handler = {
      handler: 'mail.welcome',
      group: 'mail',
      priority: 'normal',
      concurrency: 1,
      handled: 0,
      failed: 0,
    }
    const sample = {
      handlers: [
        { ...handler, retried: 0, dead: 0, skipped: 0, inFlight: 0, queued: 0, runTime: empty, endToEnd: empty },
      ],
      stages: { relay: empty, deliver: empty, queue: empty, handle: empty },
    }
    await store.query(
      `insert into evt.instances (instance, host, pid, version, roles, leader, started_at, beat_at, sample)
       values ('dead', 'h', 1, '0', '{handlers}', false, now() - interval '2 days', now() - interval '1 day', $1)`,
      [JSON.stringify(sample)],
    )
    await store.query(`select evt.ensure_group('mail.welcome', 4, 0)`)
    start(store, [{ name: 'crashed', when: 'handler.crashed' }])
    await until(async () => (await told(store)).length === 1, patience)
    await removeReader(store, await findReader(store, 'mail.welcome'))
    await until(async () => (await told(store)).length === 2, patience)
    expect(await told(store)).toEqual([
      'alert.raised alert/crashed/mail.welcome',
      'alert.resolved alert/crashed/mail.welcome',
    ])
  })

  it('say that a saga is stuck until it goes on', async () => {
    const { store } = await createTestDatabase()
    for (const [key, status] of [
      ['a', 'running'],
      ['b', 'stuck'],
      ['c', 'stuck'],
    ])
      await store.query(
        `insert into evt.sagas (saga, key, status, phase, version, plan, stage, steps, state, correlation_id, started_by)
         values ('sign-up', $1, $2, 'running', 1, '[]', 0, '{}', '{}', 'c', 'test')`,
        [key, status],
      )
    start(store, [{ name: 'saga-stuck' }])
    await until(async () => (await told(store)).length === 1, patience)
    expect(await listAlerts(store)).toMatchObject([{ key: 'sign-up', severity: 'critical', value: 2 }])
    await store.query(`update evt.sagas set status = 'running'`)
    await until(async () => (await told(store)).length === 2, patience)
    expect(await told(store)).toEqual([
      'alert.raised alert/saga-stuck/sign-up',
      'alert.resolved alert/saga-stuck/sign-up',
    ])
  })

  it('tell webhooks, again when they fail; one that never answers holds up no other', async () => {
    const { store } = await createTestDatabase()
    const bodies: string[] = []
    let failures = 1
    const server = createServer((request, response) => {
      if (request.url === '/never') return
      let text = ''
      request.on('data', (part) => {
        text += part
      })
      request.on('end', () => {
        failures -= 1
        response.statusCode = failures >= 0 ? 503 : 204
        if (failures < 0) bodies.push(text)
        response.end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.closeAllConnections())
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const warned: string[] = []
    const warn = (message: string, fields?: object) => void warned.push(`${message} ${JSON.stringify(fields)}`)
    const { stop } = start(
      store,
      [{ name: 'one', when: 'store.outboxPending > 0', to: [`${url}/never`, `${url}/hook/SECRET?of=SECRET`] }],
      { calm: { ...silent, warn, error: warn } },
    )
    await store.query(`select evt.publish('a.b', '{}')`)
    await until(() => bodies.length === 1, patience)
    expect(JSON.parse(bodies[0] ?? '')).toMatchObject({ alert: 'one', kind: 'raised', severity: 'warning', value: 1 })
    expect(await told(store)).toEqual([])
    await stop()
    // Where the webhook lies is its secret.
    expect(warned).toContainEqual(expect.stringContaining(`"webhook":"${url}"`))
    expect(warned.join()).not.toContain('SECRET')
    const { rows } = await store.query('select target from evt.alert_notices')
    expect(rows).toEqual([{ target: `${url}/never` }])
  })
})

it('a bridge raises its built-in alerts by itself', async () => {
  const { url, store } = await createTestDatabase()
  const broken = defineHandler({
    name: 'mail.welcome',
    on: ['user.created'],
    retry: { attempts: 1 },
    handle: () => Promise.reject(new TypeError('no')),
  })
  const lines: string[] = []
  const line = (message: string) => void lines.push(message)
  const bridge = createBridge({
    store: url,
    handlers: [broken],
    monitoringInterval: '100ms',
    alerts: [{ name: 'failed-above-threshold', off: true }],
    log: { debug() {}, info: line, warn: line, error: line },
  })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  await store.query(`select evt.publish('user.created', '{}', 'user/1')`)
  await until(async () => (await listAlerts(store)).some(({ alert }) => alert === 'dead-letters-grow'), patience)
  await until(() => lines.some((text) => text.startsWith('an alert fires')), patience)
  // Handlers of `*` get no events that nobody asked for.
  expect(await told(store)).toEqual([])
})

it('a bridge with a rule that cannot be used does not start, and says which field', async () => {
  const { url } = await createTestDatabase()
  const bridge = createBridge({ store: url, alerts: [{ name: 'a', when: 'handler.lagEvent > 3' }] })
  await expect(bridge.start()).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining('handler.lagEvents'),
  })
})
