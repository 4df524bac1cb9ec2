import { describe, expect, it, onTestFinished } from 'vitest'
import { createBridge, defineHandler } from '../../src/index.ts'
import { listAlerts } from '../../src/store/alerts.ts'
import type { Store } from '../../src/store/connection.ts'
import { startAlerts } from '../../src/watch/alerts/alert-loop.ts'
import { sequence } from '../commands/sequence.ts'
import { startProcess } from '../faults/processes.ts'
import { createFaultTables } from '../faults/schema.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { times } from '../ui/samples.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const patience = { withinMs: 20_000 }

/** The built-in rules, which look often and whose minute is a second and a half: bridges speak once a second. */
function watch(store: Store, more: readonly { readonly name: string; readonly for?: string }[] = []) {
  const alerts = startAlerts({
    ...{ store, instance: 'watch', log: silent, calm: silent, everyMs: 50, minuteMs: 1_500 },
    rules: more,
  })
  onTestFinished(() => alerts.stop())
}

const firing = async (store: Store) =>
  (await listAlerts(store))
    .filter(({ state }) => state === 'firing')
    .map(({ alert, key }) => `${alert} ${key}`.trim())
    .sort()
/** Of all that ever fired. */
const fired = async (store: Store) =>
  (await listAlerts(store, { all: true }))
    .filter(({ firedMs }) => firedMs !== null)
    .map(({ alert, key }) => `${alert} ${key}`.trim())
    .sort()

const publish = async (store: Store, ...subjects: readonly string[]) => {
  for (const subject of subjects) await store.query(`select evt.publish('mail.asked', '{}', $1)`, [subject])
  await sequence(store)
}
const many = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}/${n}`)

async function mailing(store: Store, url: string) {
  const state = { isDown: false }
  const handler = defineHandler({
    name: 'mail.welcome',
    on: ['mail.asked'],
    start: 'earliest',
    retry: { attempts: 3, initial: '300ms', max: '300ms' },
    breaker: { subjects: 5, probe: '100ms' },
    async handle({ subject }, { sql }) {
      if (subject === 'poison') throw new Error('not for this one')
      if (state.isDown) throw new Error('the mail server does not answer')
      await sql`insert into sent values (${subject})`
    },
  })
  await store.query('create table sent (subject text)')
  const sent = async () => Number((await store.query('select count(*) as n from sent')).rows[0]?.n)
  const start = async () => {
    const bridge = createBridge({ store: url, handlers: [handler], roles: ['handlers'] })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    return bridge
  }
  return { state, sent, start }
}

describe('each fault raises the alert that says what it is', () => {
  it('an event that dies: only that; and it is over when no more die', async () => {
    const { store, url } = await createTestDatabase({ max: 6 })
    const { start, sent } = await mailing(store, url)
    await start()
    watch(store)
    await publish(store, ...many('good', 30), 'poison')
    await until(async () => (await firing(store)).includes('dead-letters-grow mail.welcome'), patience)
    await until(async () => (await firing(store)).length === 0, patience)
    expect(await sent()).toBe(30)
    expect(await fired(store)).toEqual(['dead-letters-grow mail.welcome'])
  })

  it('other data under an id that is there: only that, and it is over when no more come', async () => {
    const { store } = await createTestDatabase({ max: 6 })
    watch(store)
    const publishAs = (id: string, data: object) =>
      store.query(`select evt.publish('mail.asked', $2, event_key => sha256(convert_to($1, 'UTF8')))`, [
        id,
        JSON.stringify(data),
      ])
    await publishAs('order-1', { total: 1 })
    await publishAs('order-1', { total: 1 })
    await sequence(store)
    // What it has seen at its first look is what it counts from.
    await until(async () => (await store.query('select from evt.watch_tasks where memory is not null')).rows.length > 0)
    await publishAs('order-1', { total: 1_000_000 })
    await sequence(store)
    await until(async () => (await firing(store)).includes('id-conflict'), patience)
    await until(async () => (await firing(store)).length === 0, patience)
    expect(await fired(store)).toEqual(['id-conflict'])
    expect((await store.query('select data from evt.refused')).rows).toEqual([{ data: { total: 1_000_000 } }])
  })

  it('a downstream that is gone: the breaker, and no dead letters; over when it is back', async () => {
    const { store, url } = await createTestDatabase({ max: 6 })
    const { state, start, sent } = await mailing(store, url)
    await start()
    watch(store)
    state.isDown = true
    await publish(store, ...many('a', 12))
    await until(async () => (await firing(store)).includes('breaker-open mail.welcome'), patience)
    state.isDown = false
    await publish(store, ...many('b', 300))
    await until(async () => (await sent()) === 312, patience)
    await until(async () => (await firing(store)).length === 0, patience)
    const all = await fired(store)
    expect(all).toContain('breaker-open mail.welcome')
    expect(all.filter((one) => /dead|sink|stopped|missing/.test(one))).toEqual([])
  })

  it('a bridge that is killed: it has crashed, until another has run its handlers for a while', async () => {
    const { store, url } = await createTestDatabase({ max: 6 })
    await createFaultTables(store, 1)
    watch(store, [{ name: 'handler-crashed', for: '0s' }])
    const beats = async (instance: string) =>
      (
        await store.query(`select from evt.instances where instance = $1 and (sample->'handlers')::text <> '[]'`, [
          instance,
        ])
      ).rows.length === 1
    const startFrozen = (instance: string) => {
      const child = startProcess('frozen-process.ts', [url, instance])
      onTestFinished(() => child.end('SIGKILL'))
      return child
    }
    const first = startFrozen('one')
    await until(() => beats('one'), patience)
    await first.end('SIGKILL')
    // As if it had been silent for a while.
    await store.query(`update evt.instances set beat_at = beat_at - interval '5 s'`)
    await until(async () => (await firing(store)).length > 0, patience)
    expect(await firing(store)).toEqual(['handler-crashed one'])
    startFrozen('two')
    await until(() => beats('two'), patience)
    // As if it had run for a while.
    await store.query(
      `update evt.instances set started_at = started_at - interval '1 minute',
         beat_at = beat_at - case instance when 'one' then interval '2 minutes' else '0' end`,
    )
    await until(async () => (await firing(store)).length === 0, patience)
    expect(await fired(store)).toEqual(['handler-crashed one'])
  })

  it('nobody who sequences: what is committed stands still, until somebody does', async () => {
    const { store } = await createTestDatabase({ max: 6 })
    await store.query(
      `insert into evt.outbox (id, type, source, data, class, recorded_at)
       values ('late', 'mail.asked', 'test', '{}', 'default', clock_timestamp() - interval '1 minute')`,
    )
    watch(store)
    await until(async () => (await firing(store)).length > 0, patience)
    expect(await firing(store)).toEqual(['generation-stopped'])
    await sequence(store)
    await until(async () => (await firing(store)).length === 0, patience)
    expect(await fired(store)).toEqual(['generation-stopped'])
  })

  it('a sink whose broker is away: it waits, until it is carried on', async () => {
    const { store } = await createTestDatabase({ max: 6 })
    // What the leader says about it, word for word.
    const says = (waits: object) =>
      JSON.stringify({
        ...{ handlers: [], sequenced: 0, rssBytes: 1, cpu: 0 },
        stages: { relay: times(), deliver: times(), queue: times(), handle: times() },
        sinks: [
          { sink: 'out', carried: 0, dead: 0, looped: 0, position: '0', lagEvents: 0, latency: times(), ...waits },
        ],
      })
    const speak = (waits: object) =>
      store.query(
        `insert into evt.instances (instance, host, pid, version, roles, leader, started_at, sample, beat_at)
         values ('one', 'here', 1, '0', '{relay}', true, now(), $1, clock_timestamp() + interval '1 minute')
         on conflict (instance) do update set sample = excluded.sample`,
        [says(waits)],
      )
    await store.query(`update evt.relay set leader = 'one', lease_until = now() + interval '1 hour'`)
    watch(store, [{ name: 'sink-waits', for: '100ms' }])
    await speak({ waitsFor: 'ECONNREFUSED' })
    await until(async () => (await firing(store)).length > 0, patience)
    expect(await firing(store)).toEqual(['sink-waits out'])
    await speak({})
    await until(async () => (await firing(store)).length === 0, patience)
    expect(await fired(store)).toEqual(['sink-waits out'])
  })
})
