import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Store } from '../../src/store/connection.ts'
import type { LogLane } from '../../src/transports/postgres/lane.ts'
import {
  beat,
  type ClaimedLane,
  claimLanes,
  register,
  releaseLane,
  removeDead,
} from '../../src/transports/postgres/lane-sql.ts'
import { flushPositions, markStarts } from '../../src/transports/postgres/progress.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const group = 'test.lanes'

async function connect(url: string, application = 'evt lanes', user?: string): Promise<pg.Client> {
  const to = new URL(url)
  if (user !== undefined) Object.assign(to, { username: user, password: user })
  const client = new pg.Client({ connectionString: to.href, application_name: application })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end().catch(() => {}))
  return client
}

interface Member {
  readonly client: pg.Client
  readonly session: bigint
}

async function join(url: string, name: string, user?: string): Promise<Member> {
  const client = await connect(url, 'evt lanes', user)
  const session = randomBytes(8).readBigInt64BE() >> 1n
  await register(client, session, name, undefined)
  return { client, session }
}

const create = (store: Store, lanes: number) => store.query('select evt.ensure_group($1, $2, 0)', [group, lanes])

const startOf = (claimed: ClaimedLane, position: bigint) => ({
  lane: { group, index: claimed.lane, epoch: claimed.epoch } as LogLane,
  position,
})

async function claimOne({ client, session }: Member): Promise<ClaimedLane> {
  const [claimed] = await claimLanes(client, session, group, [], 1)
  if (!claimed) throw new Error('there was no free lane')
  return claimed
}

const dead = async ({ client }: Member, { session }: Member) => {
  const { members } = await beat(client, 0n, [], [])
  return members.filter((member) => member.session === String(session))
}

const isThere = async (store: Store, client: pg.Client) =>
  (await store.query('select from pg_stat_activity where pid = $1', [(client as { processID?: number }).processID]))
    .rows.length > 0

describeServers('the lanes in SQL', (server) => {
  it('a lane that was given back is nobody’s: what its owner wants to start is not its own any more', async () => {
    const { url, store } = await createTestDatabase({ server })
    await create(store, 1)
    const owner = await join(url, 'owner')
    const claimed = await claimOne(owner)
    expect(await markStarts(store, [startOf(claimed, 5n)])).toEqual([true])
    await store.query('update evt.ticks set head = 10')
    await releaseLane(owner.client, group, 0, claimed.epoch, 3n)
    expect(await markStarts(store, [startOf(claimed, 7n)])).toEqual([false])
    const again = await claimOne(await join(url, 'next'))
    expect(again).toMatchObject({ position: 3n, suspicion: { suspectTo: 0n } })
    expect(await markStarts(store, [startOf(again, 7n)])).toEqual([true])
  })

  it('never goes beyond the end of the log, whoever moves it, and is not handed out when it stands there', async () => {
    const { url, store } = await createTestDatabase({ server })
    await create(store, 1)
    await store.query('update evt.ticks set head = 10')
    const owner = await join(url, 'owner')
    const { epoch } = await claimOne(owner)
    const settle = (position: number) =>
      store.query('select evt.settle_lane($1, 0::smallint, $2, $3)', [group, String(epoch), position])
    await settle(10)
    await expect(settle(11)).rejects.toMatchObject({ code: 'fenced' })
    const several = 'select evt.settle_lanes(array[$1], array[0]::smallint[], array[$2]::bigint[], array[11]::bigint[])'
    await expect(store.query(several, [group, String(epoch)])).rejects.toMatchObject({ code: 'fenced' })
    const lane = { group, index: 0, epoch } as LogLane
    expect(await flushPositions(store, [{ lane, position: 11n }])).toEqual([false])
    await releaseLane(owner.client, group, 0, epoch, 11n)
    expect((await store.query('select position::int, owner from evt.lanes')).rows).toEqual([
      { position: 10, owner: null },
    ])

    await store.query('update evt.lanes set position = 11')
    await expect(claimOne(owner)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('lane 0 stands at 11, and the log of this server ends at 10'),
      hint: expect.stringContaining('evt relay rebase'),
    })
  })

  it('what an owner starts while it is replaced is either known to the next one or not its own', async () => {
    const { url, store } = await createTestDatabase({ server })
    await create(store, 1)
    const frozen = await join(url, 'frozen')
    const former = await claimOne(frozen)
    expect(await markStarts(store, [startOf(former, 5n)])).toEqual([true])
    const next = await join(url, 'next')
    await removeDead(next.client, await dead(next, frozen))
    // It goes on just when the next one has read how far it had got.
    let marking: Promise<readonly boolean[]> | undefined
    const query = next.client.query.bind(next.client) as (...given: unknown[]) => Promise<unknown>
    next.client.query = (async (...given: unknown[]) => {
      const answer = await query(...given)
      if (String(given[0]).includes('for update')) {
        let settled = false
        marking = markStarts(store, [startOf(former, 9n)]).finally(() => {
          settled = true
        })
        await until(async () => settled || (await isWaiting(store)))
      }
      return answer
    }) as typeof next.client.query
    const claimed = await claimOne(next)
    const [isOwned] = (await marking) ?? []
    expect({ isOwned, suspectTo: claimed.suspicion.suspectTo }).toEqual({ isOwned: false, suspectTo: 5n })
  })

  describe('a member that was found dead', () => {
    it('loses all its backends, and those of no other', async () => {
      const { url, store } = await createTestDatabase({ server })
      const name = `gefrörener-${'x'.repeat(60)}`
      const [frozen, living, finder] = [await join(url, name), await join(url, 'living'), await join(url, 'finder')]
      const its = await connect(url, `evt handlers ${name}`)
      const itsOpen = await connect(url, `evt bridge ${name}`)
      await itsOpen.query('begin; select 1')
      const others = [
        living.client,
        finder.client,
        await connect(url, 'evt handlers living'),
        await connect(url, 'psql'),
      ]
      await removeDead(finder.client, await dead(finder, frozen))
      for (const gone of [its, itsOpen, frozen.client]) await until(async () => !(await isThere(store, gone)))
      for (const other of others) expect(await isThere(store, other)).toBe(true)
      const { rows } = await store.query('select member from evt.members order by member')
      expect(rows).toEqual([{ member: 'finder' }, { member: 'living' }])
    })

    it('keeps them when it has beaten since, and when a living member has the same name', async () => {
      const { url, store } = await createTestDatabase({ server })
      const [frozen, again, finder] = [await join(url, 'same'), await join(url, 'same'), await join(url, 'finder')]
      const handlers = await connect(url, 'evt handlers same')
      const found = await dead(finder, frozen)
      await beat(frozen.client, frozen.session, [], [])
      await removeDead(finder.client, found)
      expect((await store.query('select from evt.members')).rows).toHaveLength(3)
      await removeDead(finder.client, await dead(finder, frozen))
      expect((await store.query('select from evt.members')).rows).toHaveLength(2)
      expect(await isThere(store, handlers)).toBe(true)
      expect(await isThere(store, again.client)).toBe(true)
    })

    it('is removed also where its backends may not be ended', async () => {
      const { url, store } = await createTestDatabase({ server })
      const [one, two] = ['one', 'two'].map((role) => `${role}_${randomBytes(4).toString('hex')}`) as [string, string]
      for (const role of [one, two]) {
        await store.query(`create role ${role} login password '${role}'; grant evt_operator to ${role}`)
        onTestFinished(async () => void (await store.query(`drop role ${role}`)))
      }
      const [frozen, finder] = [await join(url, 'frozen', one), await join(url, 'finder', two)]
      const handlers = await connect(url, 'evt handlers frozen', one)
      await removeDead(finder.client, await dead(finder, frozen))
      expect((await store.query('select member from evt.members')).rows).toEqual([{ member: 'finder' }])
      expect(await isThere(store, handlers)).toBe(true)
    })
  })
})

const isWaiting = async (store: Store) =>
  (await store.query(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`))
    .rows.length > 0
