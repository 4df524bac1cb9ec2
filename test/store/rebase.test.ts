import { expect, test } from 'vitest'
import { checkIdentity } from '../../src/store/identity.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { planRebase, rebase } from '../../src/store/rebase.ts'
import { sequence } from '../commands/sequence.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

/** As in a dump of a cluster that had given out a million transaction numbers more than this one. */
const asRestoredHere = `
  alter table evt.outbox disable trigger refuse_change;
  alter table evt.log disable trigger refuse_change;
  update evt.outbox set xid = (xid::text::bigint + 1000000)::text::xid8;
  update evt.log set xid = (xid::text::bigint + 1000000)::text::xid8;
  alter table evt.outbox enable trigger refuse_change;
  alter table evt.log enable trigger refuse_change;
  insert into evt.ticks select tick + 1, epoch, at, head, shifted, null, after_seq, near_day, near_leaves, shifted, far_at, duplicates, refused, null
  from (select *, format('%s:%s:', pg_snapshot_xmin(snapshot)::text::bigint + 1000000, pg_snapshot_xmax(snapshot)::text::bigint + 1000000)::pg_snapshot as shifted
    from evt.ticks order by tick desc limit 1) latest;
  update evt.relay set system_identifier = system_identifier + 1, leader = null`

describeServers('a store that was restored on another cluster', (server) => {
  test('goes on behind a rebase: each event has one place, in its order, and keys are known', async () => {
    const { store } = await createTestDatabase({ server })
    const publish = (id: string, key?: string) =>
      store.query(`select evt.publish('thing.done', $2, 's', id => $1, event_key => sha256(convert_to($3, 'UTF8')))`, [
        id,
        JSON.stringify({ key }),
        key ?? null,
      ])
    for (const id of ['a', 'b']) await publish(id)
    await publish('keyed', 'k')
    await publish('again', 'k')
    await sequence(store)
    await publish('waiting')
    await publish('new key', 'n')
    await store.query(asRestoredHere)
    // Here, transactions have numbers that the old cursor takes for seen.
    await publish('after')
    await expect(acquireLease(store, 'early', 60_000)).rejects.toMatchObject({
      code: 'refused',
      hint: expect.stringContaining('evt relay rebase'),
    })

    expect(await planRebase(store)).toMatchObject({
      ...{ head: 3n, unplaced: 3, first: ['waiting', 'new key', 'after'], bodiless: 0, ahead: [] },
    })
    expect(await rebase(store, 7_000_000n)).toBe(7_000_000n)
    await checkIdentity(store)
    await publish('new key again', 'n')
    await sequence(store)
    const placed = async () =>
      (
        await store.query(
          'select o.id, l.position::int from evt.log l join evt.outbox o on o.xid = l.xid and o.seq = l.seq order by 2',
        )
      ).rows.map(({ id, position }) => `${position} ${id}`)
    const expected = ['1 a', '2 b', '3 keyed', '7000001 waiting', '7000002 new key', '7000003 after']
    expect(await placed()).toEqual(expected)
    // Also when the numbers that the rows had are given out here: none are left.
    expect(
      (await store.query('select from evt.outbox where xid >= pg_snapshot_xmax(pg_current_snapshot())')).rows,
    ).toEqual([])
    expect(await planRebase(store)).toMatchObject({ head: 7_000_003n, unplaced: 0 })
  })

  test('names who stands beyond the end, and puts the end behind them; not while somebody leads', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(`select evt.ensure_group('ahead', 2, 0), evt.ensure_group('behind', 1, 0)`)
    await store.query(`select evt.publish('thing.done', '{}', id => 'one')`)
    await sequence(store)
    await store.query(`update evt.lanes set position = 40 where group_name = 'ahead' and lane = 1`)
    await acquireLease(store, 'leader', 60_000)
    await expect(rebase(store, 0n)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('leads'),
    })
    await store.query('update evt.relay set leader = null')
    expect((await planRebase(store)).ahead).toEqual([{ who: 'group ahead', after: 40n }])
    expect(await rebase(store, 0n)).toBe(40n)
    await store.query(`select evt.publish('thing.done', '{}', id => 'two')`)
    await sequence(store)
    expect((await store.query('select position::int from evt.log order by 1')).rows).toEqual([
      { position: 1 },
      { position: 41 },
    ])
    expect((await store.query('select group_name, position::int from evt.lanes order by 1, lane')).rows).toEqual([
      { group_name: 'ahead', position: 0 },
      { group_name: 'ahead', position: 40 },
      { group_name: 'behind', position: 0 },
    ])
  })
})
