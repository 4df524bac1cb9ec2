import { expect, onTestFinished, test } from 'vitest'
import { createRelay, type Relay } from '../../src/relay/relay.ts'
import type { RelayTimings } from '../../src/relay/timings.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { readLease } from '../../src/store/lease.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { until } from '../setup/until.ts'
import { insertEvent, readLog, runWriters } from '../store/sequencer-writers.ts'

const quick: Partial<RelayTimings> = { lease: 800, renew: 200, standby: 100 }

interface Running extends Relay {
  readonly seen: { sequenced: number; leading: boolean[]; messages: string[] }
}

function runRelay(store: Store, instance: string, timings: Partial<RelayTimings> = quick): Running {
  const seen: Running['seen'] = { sequenced: 0, leading: [], messages: [] }
  const say = (message: string): void => void seen.messages.push(message)
  const relay = createRelay({
    store,
    instance,
    timings,
    recorder: { sequenced: (events) => (seen.sequenced += events), leading: (is) => seen.leading.push(is) },
    log: { info: say, warn: say, error: say },
  })
  relay.start()
  onTestFinished(() => relay.stop())
  return Object.defineProperties({ seen }, Object.getOwnPropertyDescriptors(relay)) as Running
}

const positions = async (store: Store): Promise<number> =>
  Number((await store.query('select evt.head() as head')).rows[0]?.head)

const parkedMark = async (store: Store): Promise<number> =>
  Number((await store.query('select last_value from evt.parked')).rows[0]?.last_value)

/** Between two looks: what it does right after finding something would find the next event too. */
const isAsleep = async (store: Store): Promise<boolean> =>
  (
    await store.query(`select coalesce(max(state_change) < clock_timestamp() - interval '20 ms', false) as asleep
      from pg_stat_activity where application_name = 'evt relay' and datname = current_database()`)
  ).rows[0]?.asleep === true

describeServers('the relay', (server) => {
  test('leads, sequences while many write, and says how much', async () => {
    const { store } = await createTestDatabase({ server, max: 20 })
    const relay = runRelay(store, 'a')
    const ledger = await runWriters(store, { writers: 8, rounds: 25, seed: 3 })
    const committed = [...ledger.committed.values()].flat()
    await until(async () => (await positions(store)) >= committed.length, { withinMs: 10_000 })
    const log = await readLog(store)
    for (const [subject, ids] of ledger.committed) {
      expect(log.filter((row) => row.subject === subject).map((row) => row.id)).toEqual(ids)
    }
    expect(relay.seen.sequenced).toBe(committed.length)
    expect(relay.leading).toBe(true)
  })

  test('parks when there is nothing, is woken by writers, and stops asking them when it is busy', async () => {
    const { store, url } = await createTestDatabase({ server })
    await store.query(`alter database ${new URL(url).pathname.slice(1)} set evt.notify = 'on'`)
    // Its pool was opened before the setting.
    const writer = await openStore(url, { applicationName: 'evt test writer' })
    onTestFinished(() => writer.close())
    runRelay(writer, 'a', { ...quick, backstop: 60_000, blindBackstop: 60_000 })
    await until(async () => (await parkedMark(store)) === 2)
    for (let n = 1; n <= 3; n += 1) {
      await until(async () => (await parkedMark(store)) === 2)
      await insertEvent(writer.pool as never, 'a', n)
      await until(async () => (await positions(store)) === n)
    }
    // Several at once: each look has to find something, however fast the relay looks.
    let n = 3
    let busy = true
    const write = async () => {
      while (busy) {
        n += 1
        await insertEvent(writer.pool as never, 'a', n)
      }
    }
    const writers = Array.from({ length: 8 }, write)
    await until(async () => (await parkedMark(store)) === 1).finally(() => {
      busy = false
    })
    await Promise.all(writers)
    await until(async () => (await positions(store)) === n)
  })

  test('finds events within the backstop when nothing ever notifies', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query('drop trigger wake_relay on evt.outbox')
    runRelay(store, 'a', { ...quick, backstop: 40, blindBackstop: 40 })
    await until(async () => (await readLease(store)).leader === 'a')
    for (let n = 1; n <= 5; n += 1) {
      await until(() => isAsleep(store))
      await insertEvent(store.pool as never, 'a', n)
      await until(async () => (await positions(store)) === n, { withinMs: 2_000 })
    }
  })

  test('sees who notified in a transaction that was rolled back, and who read the mark too early', async () => {
    const { store, url } = await createTestDatabase({ server })
    await store.query(`alter database ${new URL(url).pathname.slice(1)} set evt.notify = 'on'`)
    const writer = await openStore(url, { applicationName: 'evt test writer' })
    onTestFinished(() => writer.close())
    // Read "awake", inserted, and commits after the relay parked: it will never notify.
    const early = await writer.pool.connect()
    await early.query('begin')
    await insertEvent(early, 'early', 1)
    runRelay(writer, 'a', { ...quick, backstop: 60_000 })
    await until(async () => (await parkedMark(store)) === 2)
    const rolledBack = await writer.pool.connect()
    await rolledBack.query('begin')
    await insertEvent(rolledBack, 'gone', 1)
    await rolledBack.query('rollback')
    rolledBack.release()
    await early.query('commit')
    early.release()
    await until(async () => (await positions(store)) === 1, { withinMs: 2_000 })
  })

  test('does not make two-phase commits fail', async () => {
    const { store } = await createTestDatabase({ server })
    runRelay(store, 'a', quick)
    await until(async () => (await readLease(store)).leader === 'a')
    const client = await store.pool.connect()
    for (let n = 1; n <= 3; n += 1) {
      await client.query('begin')
      await insertEvent(client, 'a', n)
      await client.query(`prepare transaction 'relay_${server}'`)
      await client.query(`commit prepared 'relay_${server}'`)
      await until(async () => (await positions(store)) === n)
    }
    client.release()
  })

  test('hands over at once when the leader stops', async () => {
    const { store } = await createTestDatabase({ server })
    const first = runRelay(store, 'first', { ...quick, lease: 60_000, standby: 60_000 })
    await until(() => first.leading)
    const second = runRelay(store, 'second', { ...quick, lease: 60_000, standby: 60_000 })
    await until(async () => {
      const { rows } = await store.query(`select from pg_stat_activity where application_name = 'evt relay listener'
        and datname = current_database() and query like 'listen%'`)
      return rows.length === 2
    })
    await first.stop()
    await until(() => second.leading)
    expect(first.leading).toBe(false)
    await insertEvent(store.pool as never, 'a', 1)
    await until(() => second.seen.sequenced === 1)
  })

  test('takes over from a leader that went silent, which is fenced', async () => {
    const { store } = await createTestDatabase({ server })
    const { rows } = await store.query(`select evt.lead('frozen', 300) as epoch`)
    const frozen = BigInt(String(rows[0]?.epoch))
    await insertEvent(store.pool as never, 'a', 1)
    await tick(store, frozen, 100)
    const standby = runRelay(store, 'standby')
    await until(() => standby.leading, { withinMs: 3_000 })
    await insertEvent(store.pool as never, 'a', 2)
    await expect(tick(store, frozen, 100)).rejects.toMatchObject({ code: 'fenced' })
    await until(() => standby.seen.sequenced === 1)
    expect((await readLog(store)).map((row) => row.id)).toEqual(['a#1', 'a#2'])
  })

  test('steps down when somebody else took the lease, and leads again later', async () => {
    const { store } = await createTestDatabase({ server })
    const relay = runRelay(store, 'a')
    await until(() => relay.leading)
    await store.query(`update evt.relay set lease_until = '-infinity'`)
    await store.query(`select evt.lead('usurper', 300)`)
    await until(() => relay.seen.leading.length >= 3, { what: 'led, fenced, led again' })
    expect(relay.seen.leading.slice(0, 3)).toEqual([true, false, true])
  })

  test('outlives the loss of all of its connections, again and again', async () => {
    const { store } = await createTestDatabase({ server })
    const relay = runRelay(store, 'a')
    await until(() => relay.leading)
    for (let n = 1; n <= 5; n += 1) {
      await store.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'evt relay%' and datname = current_database()`)
      await insertEvent(store.pool as never, 'a', n)
      await until(async () => (await positions(store)) === n)
    }
  })

  test('stops, and says why and what to do, when the cluster is another one', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query('update evt.relay set system_identifier = 1')
    const relay = runRelay(store, 'a')
    const problem = await until(() => relay.problem)
    expect(problem.code).toBe('refused')
    expect(problem.hint).toContain('nothing was skipped')
    await insertEvent(store.pool as never, 'a', 1)
    expect(relay.leading).toBe(false)
    expect(relay.seen.messages.filter((message) => message.includes('belongs to cluster'))).toHaveLength(1)
    await store.query('update evt.relay set system_identifier = (select system_identifier from pg_control_system())')
    await until(async () => (await positions(store)) === 1)
    expect(relay.problem).toBeUndefined()
  })
})

test('says once, as an error, that the server refuses it, and asks rarely', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = new URL(url)
  nowhere.pathname = '/nowhere'
  const relay = runRelay({ ...store, connectionString: nowhere.href }, 'a', { ...quick, standby: 1 })
  await until(() => relay.seen.messages.length > 0)
  expect(relay.problem).toMatchObject({ code: 'connect', message: expect.stringContaining('no database nowhere') })
  await relay.stop()
  expect(relay.seen.messages).toEqual([relay.problem?.message])
})

test('goes on after the server was killed and started again', async () => {
  await using server = await startPrivateServer({ version: 18 })
  await migrateUp(server.url)
  const store = await openStore(server.url, { applicationName: 'evt test' })
  const relay = runRelay(store, 'a')
  await until(() => relay.leading)
  await insertEvent(store.pool as never, 'a', 1)
  await until(async () => (await positions(store)) === 1)
  await server.kill('SIGKILL')
  await server.restart()
  await until(
    () =>
      insertEvent(store.pool as never, 'a', 2).then(
        () => true,
        () => false,
      ),
    { withinMs: 10_000 },
  )
  await until(async () => (await positions(store)) === 2, { withinMs: 10_000 })
  await relay.stop()
  await store.close()
})
