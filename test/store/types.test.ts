import { expect, it } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import { isEventType } from '../../src/core/pattern.ts'
import type { Store } from '../../src/store/connection.ts'
import { migrateDown, migrateUp, migrationStatus } from '../../src/store/migrate.ts'
import { copyEvents, publishEncoded } from '../../src/store/outbox.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

const refused = ['', ' ', 'a b', 'a.*', '.x', 'x.', 'a..b', 'a\nb', "it's", 'a\u00a0b', 'a,b', '{a}', 'x'.repeat(256)]
const taken = ['a', 'user.created', 'A-b_c:d/e@f#g%h+i=j~k^l&m$n', 'größe.geändert', '用户.创建', '😀'.repeat(255)]
/** All below U+3400, where letters without exception begin, and the last of the basic plane. */
const codePoints = Array.from({ length: 0x10_010 }, (_, i) => i + 1).filter((n) => n < 0x3400 || n > 0xfb00)
const isRefused = {
  code: 'contract',
  message: expect.stringMatching(/^cannot publish an event of type "/),
  hint: expect.stringContaining('words joined by dots'),
}

/** Back to before the migration that checks them. */
async function undoTypes(store: Store): Promise<void> {
  const { applied } = await migrationStatus(store)
  await migrateDown(store, applied.length - applied.findIndex(({ name }) => name === 'types'))
}

describeServers('the type of an event that SQL writes', (server) => {
  it.each(refused)('may not be %j, whichever way it comes', async (type) => {
    const { store } = await createTestDatabase({ server, max: 2 })
    const insert = "insert into evt.outbox (id, type, source, data) values ('i', $1, 's', '{}')"
    await expect(store.query("select evt.publish($1, '{}')", [type])).rejects.toMatchObject(isRefused)
    await expect(
      store.query('select evt.publish_many($1)', [JSON.stringify([{ type, data: 1 }])]),
    ).rejects.toMatchObject(isRefused)
    await expect(store.query(insert, [type])).rejects.toMatchObject(isRefused)
    const fine = encodeEvent({
      ...{ id: 'i', type: 'a.b', version: 1, source: 's', time: '2026-01-02T03:04:05Z', priority: 'normal' },
      ...{ metadata: {}, data: 1 },
    })
    const odd = { ...fine, type }
    await expect(store.transaction((sql) => publishEncoded(sql, [fine, odd]))).rejects.toMatchObject(isRefused)
    await expect(copyEvents(store, [fine, odd])).rejects.toMatchObject(isRefused)
    const { rows } = await store.query('select * from evt.outbox')
    expect(rows).toEqual([])
  })

  it.each(taken)('may be %j', async (type) => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await store.query("select evt.publish($1, '{}')", [type])
    expect(isEventType(type)).toBe(true)
  })

  it('is told as it is, cut where it is long', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    const saying = (type: string) => store.query("select evt.publish($1, '{}')", [type]).catch((error) => error.message)
    expect(await saying('')).toBe('cannot publish an event of type "": it is empty')
    expect(await saying('a\u001b b')).toBe(
      'cannot publish an event of type "a\\u001b b": it is no dotted name that a pattern could select',
    )
    expect(await saying('x'.repeat(300))).toBe(
      `cannot publish an event of type "${'x'.repeat(80)}…": 300 characters are more than 255`,
    )
  })

  it('has the characters that patterns have', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await store.query(`create function refused(n int) returns boolean language plpgsql as $$
      begin return not evt.check_type('a' || chr(n) || 'b'); exception when sqlstate 'EV004' then return true; end $$`)
    const { rows } = await store.query('select n from unnest($1::int[]) n where refused(n)', [codePoints])
    const here = codePoints.filter((n) => !isEventType(`a${String.fromCodePoint(n)}b`))
    expect(rows.map(({ n }) => n)).toEqual(here)
  })

  it('is checked in partitions that are made later, of new classes too', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await store.query("insert into evt.classes values ('fresh', 5)")
    await store.query('select evt.make_partitions(evt.today(), evt.today() + 20)')
    const insert = `insert into evt.outbox (id, type, source, data, class, day)
      select 'i', $1, 's', '{}', class, evt.today() + days from evt.classes, unnest(array[0, 20]) days`
    expect(await store.query(insert, ['a.b'])).toMatchObject({ rowCount: 8 })
    await expect(store.query(insert, [''])).rejects.toMatchObject(isRefused)
  })

  it('stays what it was where it was written before', async () => {
    const { store } = await createTestDatabase({ server, max: 2 })
    await undoTypes(store)
    await store.query("select evt.publish('', '{}')")
    await store.query('select evt.make_partitions(evt.today(), evt.today() + 20)')
    await migrateUp(store)
    await store.query('select evt.make_partitions(evt.today(), evt.today() + 21)')
    await expect(store.query("select evt.publish('', '{}')")).rejects.toMatchObject(isRefused)
    expect((await store.query('select type from evt.outbox')).rows).toEqual([{ type: '' }])
  })

  it('is not checked yet, and nothing is changed, while a writer keeps the migration out for too long', async () => {
    const { url, store } = await createTestDatabase({ server, max: 2 })
    await undoTypes(store)
    await store.transaction(async (sql) => {
      await sql.query("select evt.publish('a.b', '{}')")
      await expect(migrateUp(`${url}?options=-c%20lock_timeout%3D200`)).rejects.toMatchObject({
        code: 'timeout',
      })
    })
    await migrateUp(store)
  })
})
