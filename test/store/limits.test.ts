import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { addCapture } from '../../src/store/capture.ts'
import type { Store } from '../../src/store/connection.ts'
import { countTraffic } from '../../src/store/count-traffic.ts'
import { acquireLease, releaseLease } from '../../src/store/lease.ts'
import { migrateDown, migrateUp, migrationStatus } from '../../src/store/migrate.ts'
import { copyEvents, publishEncoded } from '../../src/store/outbox.ts'
import { deliverDue } from '../../src/store/scheduled.ts'
import { tick } from '../../src/store/sequencer.ts'
import { eventOf } from '../handle/running.ts'
import { noted } from '../publish/noted.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

const long = () => randomBytes(2_250).toString('base64')
const named = ['source', 'subject', 'tenant', 'correlation_id', 'causation_id', 'traceparent', 'user_id', 'session_id']
const tooLong = (field: string, what = 'a.b') => ({
  code: 'contract',
  message: `cannot publish ${what}: ${field} has 3000 bytes, the limit is 1024`,
})
const idTooLong = { code: 'contract', message: 'cannot publish an event: id has 3000 characters, the limit is 255' }
const idEmpty = { code: 'contract', message: 'cannot publish an event: id is empty' }

async function sequenced(store: Store): Promise<unknown[]> {
  const lease = await acquireLease(store, 'test', 60_000)
  await tick(store, lease?.epoch ?? 0n, 100)
  if (lease) await releaseLease(store, lease)
  const { rows } = await store.query('select o.id from evt.log l join evt.outbox o on o.seq = l.seq order by position')
  return rows.map(({ id }) => id)
}

async function undoLimits(store: Store): Promise<void> {
  const { applied } = await migrationStatus(store)
  await migrateDown(store, applied.length - applied.findIndex(({ name }) => name === 'limits'))
}

describeServers('the length of a field', (server) => {
  it.each(named)('%s is bounded, whichever way it comes from SQL', async (field) => {
    const { store } = await createTestDatabase({ server, max: 2 })
    const value = long()
    const publish = `select evt.publish('a.b', '{}', ${field} => $1)`
    await expect(store.query(publish, [value])).rejects.toMatchObject(tooLong(field))
    await expect(
      store.query('select evt.publish_many($1)', [JSON.stringify([{ type: 'a.b', data: 1, [field]: value }])]),
    ).rejects.toMatchObject(tooLong(field))
    await expect(
      store.query(`select evt.publish_at(now() + '1 h', 'a.b', '{}', ${field} => $1)`, [value]),
    ).rejects.toMatchObject(tooLong(field))
    await store.query(publish, [value.slice(0, 1024)])
  })

  it('ids and keys are bounded and never empty, whichever way they come', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    const byId = "select evt.publish('a.b', '{}', id => $1)"
    const insert = "insert into evt.outbox (id, type, source, data) values ($1, 'a.b', 's', '{}')"
    for (const [id, error] of [
      [long(), idTooLong],
      ['', idEmpty],
    ] as const) {
      await expect(store.query(byId, [id])).rejects.toMatchObject(error)
      await expect(store.query(insert, [id])).rejects.toMatchObject(error)
      const odd = { ...encodeEvent(eventOf({ type: 'a.b' })), id }
      await expect(store.transaction((sql) => publishEncoded(sql, [odd]))).rejects.toMatchObject(error)
      await expect(copyEvents(store, [odd])).rejects.toMatchObject(error)
    }
    await store.query(byId, ['😀'.repeat(255)])
    await expect(
      store.query("select evt.publish('a.b', '{}', event_key => $1)", [randomBytes(3000)]),
    ).rejects.toMatchObject(tooLong('event_key', 'an event'))
    expect(await sequenced(store)).toEqual(['😀'.repeat(255)])
  })

  it('a captured row whose key is too long is refused with its reason', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await store.query('create table people (name text primary key)')
    await addCapture(store, { table: 'people', entity: 'person' })
    const insert = 'insert into people values ($1)'
    await expect(store.query(insert, [long().slice(0, 2_000)])).rejects.toMatchObject({
      message: 'cannot publish an event: subject has 2007 bytes, the limit is 1024',
    })
    await store.query(insert, ['Ada'])
    expect(await sequenced(store)).toHaveLength(1)
  })

  it('what was written before holds up nobody: keys and ids are set aside, the rest has its place and is counted', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await undoLimits(store)
    await store.query("select evt.publish('a.b', '{}', id => 'key', event_key => $1)", [randomBytes(3000)])
    await store.query("select evt.publish('a.b', '{}', id => $1)", [long()])
    await store.query("select evt.publish('a.b', '{}', id => '')")
    await store.query("select evt.publish('a.b', '{}', id => 'source', source => $1)", [long()])
    await store.query(
      `insert into evt.scheduled (deliver_at, id, type, source, data) values (now(), $1, 'a.b', 's', '1')`,
      [long()],
    )
    await migrateUp(store)
    await store.query("select evt.publish('a.b', '{}', id => 'good')")
    expect(await sequenced(store)).toEqual(['source', 'good'])
    const { rows } = await store.query('select distinct reason, count(*)::int as events from evt.refused group by 1')
    expect(rows).toEqual([{ reason: 'its id or its key is empty or too long', events: 3 }])
    expect(await deliverDue(store, 10, 'test')).toMatchObject({ delivered: 0, refused: 1 })
    await store.transaction((sql) => countTraffic(sql, { after: 0n, upTo: 2n }))
    expect((await store.query('select octet_length(source) < 1024 as short from evt.analytics_totals')).rows).toEqual([
      { short: true },
      { short: true },
    ])
    await undoLimits(store)
    await store.query("select evt.publish('a.b', '{}', id => 'undone', tenant => $1)", [long()])
    expect(await sequenced(store)).toEqual(['source', 'good', 'undone'])
  })
})

describeServers('an id that SQL or a transaction gives', (server) => {
  it('names one event: the first bytes count, the same ones are dropped, others are kept and counted', async () => {
    const { store } = await createTestDatabase({ server, max: 3 })
    const publisher = createPublisher({ store, registry: createRegistry([noted]), source: 'test' })
    const note = (n: number) => ({ type: 'note.written', id: 'same', subject: `s${n}`, data: { text: `${n}` } })
    await publisher.publish(store, [note(1), { type: 'note.written', data: { text: '' } }])
    await publisher.publish(store, [note(1)])
    await publisher.publish(store, [note(2)])
    await publisher.publishAll([note(3)])
    await store.query(`select evt.publish('a.b', '{"text":"1"}', id => 'same')`)
    await store.query(`select evt.publish('a.b', '{"text":"4"}'::jsonb, id => 'same')`)
    await store.query(`select evt.publish_many('[{"type":"a.b","data":{"text":"5"},"id":"same"}]')`)
    await publisher.close()
    expect(await sequenced(store)).toHaveLength(2)
    const { rows } = await store.query("select data->>'text' as n from evt.refused order by seq")
    expect(rows.map(({ n }) => n)).toEqual(['2', '3', '4', '5'])
    const { rows: keys } = await store.query('select count(*)::int as keyed from evt.outbox where event_key is null')
    expect(keys).toEqual([{ keyed: 1 }])
  })
})
