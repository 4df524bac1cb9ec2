import { expect, onTestFinished, test } from 'vitest'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import { findReader, listReaders, removeReader, seekGroup } from '../../src/store/decommission.ts'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import { maintainPartitions } from '../../src/store/partitions.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { insertEvent, sequenceAll } from './sequencer-writers.ts'

const daysOn = (days: number) => new Date(Date.now() + days * 86_400_000)
const leafOfToday = () => `outbox_default_${new Date().toISOString().slice(0, 10).replaceAll('-', '')}`

describeServers('who reads the store', (server) => {
  async function storeWithReaders(): Promise<Store> {
    const { store } = await createTestDatabase({ server })
    const lease = (await acquireLease(store, 'test', 60_000)) as Lease
    for (const n of [1, 2, 3]) await insertEvent(store.pool as never, 'a', n)
    await sequenceAll(store, lease.epoch)
    await store.query(`select evt.ensure_group('old', 4, 1)`)
    await store.query(
      `insert into evt.sinks (name, position, target) values ('old', 2, 'redis://h/0'), ('new', 3, 'redis://h/1')`,
    )
    await store.query(`insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, position)
      values ('old', 'log/0', 'a', 'a#1', 'thing.happened', 'log', '1', 1), ('of a sink', '0', 'a', 'a#2', 't', 'events', '9', null)`)
    await store.query(`insert into evt.parked_subjects (handler, subject, lane) values ('old', 'a', 'log/0')`)
    return store
  }
  /** A process that is a member, as the transport registers it. */
  async function join(store: Store, group: string): Promise<() => Promise<void>> {
    const client = await store.pool.connect()
    await client.query('select pg_advisory_lock(4711)')
    await client.query(`insert into evt.members (session, member, groups) values (4711, 'worker-1', $1)`, [[group]])
    let gone = false
    const leave = async () => {
      if (gone) return
      gone = true
      await client.query('select pg_advisory_unlock(4711)')
      client.release()
    }
    onTestFinished(leave)
    return leave
  }

  test('is listed: groups, handlers of sinks and sinks, with what waits and who runs them', async () => {
    const store = await storeWithReaders()
    const leave = await join(store, 'old')
    expect(await listReaders(store)).toMatchObject([
      {
        kind: 'group',
        name: 'old',
        position: '1',
        lagEvents: 2,
        members: ['worker-1'],
        retrying: 1,
        parkedSubjects: 1,
      },
      { kind: 'handler', name: 'of a sink', position: null, lagEvents: 0, members: [], retrying: 1 },
      { kind: 'sink', name: 'new', position: '3', lagEvents: 0, oldestAgeMs: null, retrying: 0 },
      { kind: 'sink', name: 'old', position: '2', lagEvents: 1, members: [] },
    ])
    expect((await listReaders(store))[0]?.oldestAgeMs).toBeGreaterThan(0)
    await leave()
    expect((await listReaders(store))[0]?.members).toEqual([])
    await expect(findReader(store, 'old')).rejects.toMatchObject({ hint: 'write group:old or sink:old' })
    await expect(findReader(store, 'nix')).rejects.toMatchObject({
      code: 'usage',
      hint: 'there are old, of a sink, new, old',
    })
    expect(await findReader(store, 'sink:old')).toMatchObject({ kind: 'sink', name: 'old' })
  })

  test('can be forgotten, and then retention does not wait for it', async () => {
    const store = await storeWithReaders()
    const reason = async () =>
      (await maintainPartitions(store, { now: daysOn(40) })).retained.find(({ table }) => table === leafOfToday())
        ?.reason
    expect(await reason()).toBe('handler old (retrying), group old, sink old still need it')
    const audit = createAudit({ who: 'ada', verb: 'groups remove', target: 'group old' })
    await removeReader(store, await findReader(store, 'group:old'), audit)
    expect(await reason()).toBe('sink old still needs it')
    await removeReader(store, await findReader(store, 'old'))
    await removeReader(store, await findReader(store, 'of a sink'))
    expect(await reason()).toBeUndefined()
    expect((await listReaders(store)).map(({ name }) => name)).toEqual(['new'])
    expect((await store.query('select who, verb, target, affected::int from evt.audit')).rows).toEqual([
      { who: 'ada', verb: 'groups remove', target: 'group old', affected: 1 },
    ])
    expect((await store.query('select from evt.parked_subjects')).rows).toEqual([])
  })

  test('is neither forgotten nor moved while a process runs it', async () => {
    const store = await storeWithReaders()
    const group = await findReader(store, 'group:old')
    const leave = await join(store, 'old')
    const refused = { code: 'refused', message: expect.stringContaining('worker-1 runs it') }
    await expect(removeReader(store, group)).rejects.toMatchObject(refused)
    await expect(seekGroup(store, { name: 'old', after: 3n })).rejects.toMatchObject(refused)
    // However long the machine takes, it has not missed a beat.
    await store.query(`insert into evt.instances (instance, host, pid, version, roles, started_at, beat_at, sample)
      values ('bridge-1', 'h', 1, '1', '{relay}', now(), now() + interval '1 hour', '{"sinks":[{"sink":"new"}],"handlers":[{"handler":"of a sink"}]}')`)
    const carried = { code: 'refused', message: expect.stringContaining('bridge-1 runs it') }
    await expect(removeReader(store, await findReader(store, 'new'))).rejects.toMatchObject(carried)
    await expect(removeReader(store, await findReader(store, 'of a sink'))).rejects.toMatchObject(carried)
    expect(await listReaders(store)).toHaveLength(4)
    await leave()
    await removeReader(store, group)
  })

  test('goes on from where it is moved to, and its former owner cannot write its place any more', async () => {
    const store = await storeWithReaders()
    await seekGroup(store, { name: 'old', after: 0n })
    expect((await findReader(store, 'group:old')).position).toBe('0')
    await seekGroup(store, { name: 'old', after: 3n })
    const { rows } = await store.query('select distinct position::int, epoch::int, owner from evt.lanes')
    expect(rows).toEqual([{ position: 3, epoch: 2, owner: null }])
    await expect(seekGroup(store, { name: 'nix', after: 0n })).rejects.toMatchObject({ code: 'usage' })
  })

  test('is not moved back to where its inbox has forgotten what it handled', async () => {
    const store = await storeWithReaders()
    const created = (days: number) =>
      store.query(`update evt.groups set created_at = clock_timestamp() - make_interval(days => $1)`, [days])
    await seekGroup(store, { name: 'old', after: 3n })
    // As if the store, whose oldest day of the inbox is yesterday, were older.
    await store.transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica')
      await sql.query('update evt.log set day = day - 200 where position <= 2')
    })
    await created(201)
    await expect(seekGroup(store, { name: 'old', after: 1n })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(
        /^cannot move group old back to 1: its inbox knows nothing before \d{4}-\d\d-\d\d/,
      ),
      hint: expect.stringContaining('evt replay --handler old'),
    })
    await seekGroup(store, { name: 'old', after: 2n })
    // Whoever began later has handled them with days of the inbox that stay.
    await seekGroup(store, { name: 'old', after: 3n })
    await created(2)
    await seekGroup(store, { name: 'old', after: 1n })
  })
})
