import { expect, test } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import { resolveRetention } from '../../src/core/retention.ts'
import { applyRetention } from '../../src/store/apply-retention.ts'
import { addCapture } from '../../src/store/capture.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { copyEvents, publishEncoded } from '../../src/store/outbox.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

const types = ['debug.seen', 'debug.deep.seen', 'order.paid', 'order.lost', 'user.created', 'a$b.c', 'ä.gesehen']
const rules = { 'debug.*': 'short', 'order.{paid,lost}': 'audit', 'a$b.*': 'short', 'ä.*': 'short' }
const policy = resolveRetention({ classes: { short: '7d', default: '60d' }, types: rules })
const expected = {
  'a$b.c': 'short',
  'debug.deep.seen': 'short',
  'debug.seen': 'short',
  'order.lost': 'audit',
  'order.paid': 'audit',
  'user.created': 'default',
  'ä.gesehen': 'short',
}
const event = (type: string) =>
  encodeEvent({
    id: `${type}-${Math.random()}`,
    type,
    version: 1,
    source: 'test',
    time: new Date().toISOString(),
    priority: 'normal',
    metadata: {},
    data: {},
  })

describeServers('the class of an event', (server) => {
  const classes = async (store: Store) =>
    Object.fromEntries(
      (await store.query('select distinct type, class from evt.outbox order by type')).rows.map((row) => [
        row.type,
        row.class,
      ]),
    )

  test('is its type’s, whoever writes it', async () => {
    const writers: Record<string, (store: Store) => Promise<unknown>> = {
      insert: (store) => publishEncoded(store, types.map(event)),
      copy: (store) => copyEvents(store, types.map(event)),
      sql: (store) => store.query(`select evt.publish(t, '{}') from unnest($1::text[]) t`, [types]),
      many: (store) =>
        store.query('select evt.publish_many($1::json)', [JSON.stringify(types.map((type) => ({ type, data: {} })))]),
    }
    for (const [name, write] of Object.entries(writers)) {
      const { store } = await createTestDatabase({ server })
      await applyRetention(store, policy)
      await write(store)
      expect(await classes(store), name).toEqual(expected)
    }
  })

  test('is that which the writer names, when it names one', async () => {
    const { store } = await createTestDatabase({ server })
    await applyRetention(store, policy)
    await publishEncoded(store, [event('debug.seen')], { class: 'audit' })
    await copyEvents(store, [event('debug.sent')], { class: 'default' })
    await store.query(`select evt.publish('debug.said', '{}', class => 'default')`)
    expect(await classes(store)).toEqual({ 'debug.seen': 'audit', 'debug.sent': 'default', 'debug.said': 'default' })
  })

  test('of captured changes follows the rules, also those that come later', async () => {
    for (const mode of ['row', 'statement'] as const) {
      const { store } = await createTestDatabase({ server })
      await store.query('create table users (id int primary key, active boolean)')
      await addCapture(store, {
        table: 'users',
        mode,
        rules: [{ when: { column: 'active', to: false }, type: 'user.suspended' }],
      })
      await store.query('insert into users values (1, true)')
      const of = (types: Record<string, string>) => resolveRetention({ classes: { short: '7d' }, types })
      expect((await applyRetention(store, of({ 'user.suspended': 'audit', 'user.*': 'short' }))).waiting).toEqual([])
      await store.query('update users set active = false')
      await store.query('update users set id = 2')
      const { rows } = await store.query('select type, class from evt.outbox order by seq')
      expect(rows.map(({ type, class: kept }) => `${type} ${kept}`)).toEqual([
        'user.created default',
        'user.suspended audit',
        'user.deleted short',
        'user.created short',
      ])
      await applyRetention(store, of({ 'user.*': 'audit' }))
      await store.query('delete from users')
      const last = await store.query('select type, class from evt.outbox order by seq desc limit 1')
      expect(last.rows).toEqual([{ type: 'user.deleted', class: 'audit' }])
    }
  })

  test('that is new is sequenced at the next step, not a minute later', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await applyRetention(store, policy)
    await store.query(`select evt.publish('debug.seen', '{}')`)
    await tick(store, lease?.epoch ?? 0n, 100)
    await store.query(`select evt.publish('debug.seen', '{}')`)
    expect(await tick(store, lease?.epoch ?? 0n, 100)).toMatchObject({ head: 2n })
  })

  test('changes by several processes at once and stays as it is when nothing changed', async () => {
    const { store } = await createTestDatabase({ server })
    const done = await Promise.all([1, 2, 3].map(() => applyRetention(store, policy)))
    expect(done.filter(({ rules }) => rules)).toHaveLength(1)
    expect(done.map(({ days }) => days)).toContainEqual({ default: 60, short: 7 })
    expect(await applyRetention(store, policy)).toEqual({ days: {}, rules: false, waiting: [] })
    await applyRetention(store, resolveRetention({ types: {} }))
    await publishEncoded(store, types.map(event))
    expect(new Set(Object.values(await classes(store)))).toEqual(new Set(['default']))
  })
})
