import { expect, it, onTestFinished } from 'vitest'
import { createRelay } from '../../src/relay/relay.ts'
import { addCapture } from '../../src/store/capture.ts'
import type { Store } from '../../src/store/connection.ts'
import { maintainInbox } from '../../src/store/inbox.ts'
import { type Maintenance, maintainPartitions } from '../../src/store/partitions.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { usersTable } from './captured-events.ts'

/** Of the outbox, by class: days that are long over, and the last of those that are made ahead. */
const makeDaysDue = `
  select evt.make_partitions(evt.today() - 400, evt.today() - 395);
  do $$ declare leaf text; begin
    for leaf in select relname from pg_class where relnamespace = 'evt'::regnamespace and relkind = 'r'
      and relname ~ '^outbox_[a-z]+_[0-9]{8}$' and to_date(right(relname, 8), 'YYYYMMDD') > evt.today() + 10
    loop execute format('drop table evt.%I', leaf); end loop;
  end $$`

/** Writes, one after the other, until it is stopped; tells how long the slowest took. */
function startWriting(store: Store, name: string): { stop(): Promise<{ readonly ids: string[]; slowestMs: number }> } {
  const ids: string[] = []
  let writing = true
  let slowestMs = 0
  const running = (async () => {
    while (writing) {
      const started = performance.now()
      const { rows } = await store.query('insert into users (email) values ($1) returning id', [`${name}@example.com`])
      await store.query('update users set name = $2 where id = $1', [rows[0]?.id, name])
      slowestMs = Math.max(slowestMs, performance.now() - started)
      ids.push(String(rows[0]?.id))
    }
  })()
  return {
    async stop() {
      writing = false
      await running
      return { ids, slowestMs }
    },
  }
}

async function sequencedSubjects(store: Store): Promise<readonly string[]> {
  const { rows } = await store.query(
    `select o.subject || ' ' || o.type as what from evt.log l join evt.outbox o using (class, day, xid, seq) order by l.position`,
  )
  return rows.map((row) => String(row.what))
}

describeServers('a writer of a captured table that is blocked in a prepared transaction', (server) => {
  it.each(['row', 'statement'] as const)(
    'holds up no other writer while partitions are made and dropped, and its event comes when it commits (per %s)',
    async (mode) => {
      const { store } = await createTestDatabase({ server })
      await store.query(usersTable)
      await addCapture(store, { table: 'users', mode })
      await store.query(makeDaysDue)
      const silent = { info() {}, warn() {}, error() {} }
      const recorder = { sequenced() {}, leading() {} }
      const relay = createRelay({ store, instance: 'relay', recorder, log: silent, timings: { upkeep: 50 } })
      const prepared = `captured_${server}_${mode}`
      const blocked = await store.pool.connect()
      await blocked.query('begin')
      await blocked.query("insert into users (email) values ('prepared@example.com')")
      await blocked.query(`prepare transaction '${prepared}'`)
      blocked.release()
      // Only when the test fails is it still there.
      onTestFinished(async () => {
        await store.query(`rollback prepared '${prepared}'`).catch(() => {})
      })

      const writers = ['ada', 'bob', 'eve'].map((name) => startWriting(store, name))
      relay.start()
      onTestFinished(() => relay.stop())
      const rounds: Maintenance[] = []
      // As of today, and as of a day on which everything is over: the class of the prepared event, too.
      const someDay = new Date(Date.now() + 500 * 86_400_000)
      for (let round = 0; round < 2; round += 1) {
        rounds.push(await maintainPartitions(store), await maintainPartitions(store, { now: someDay }))
        await maintainInbox(store, { aheadDays: 14 + round, keepDays: 100 })
      }
      const written = await Promise.all(writers.map((writer) => writer.stop()))

      expect(rounds.flatMap((round) => round.dropped).filter((table) => table.startsWith('outbox_audit'))).not.toEqual(
        [],
      )
      const { rows: ahead } = await store.query(
        `select count(*)::int as days from pg_class where relnamespace = 'evt'::regnamespace
         and relname ~ '^outbox_default_[0-9]{8}$' and to_date(right(relname, 8), 'YYYYMMDD') > evt.today() + 10`,
      )
      expect(ahead[0]?.days, 'days were made').toBeGreaterThanOrEqual(4)
      const kept = rounds.flatMap((round) => round.retained).filter(({ table }) => table.startsWith('outbox_default'))
      expect(kept.map(({ reason }) => reason)).toContainEqual(expect.stringContaining('prepared transaction'))
      for (const { ids, slowestMs } of written) {
        expect(ids.length).toBeGreaterThan(10)
        // Behind a lock that waits for the prepared transaction they would wait for ever; a step may hold them 100 ms.
        expect(slowestMs).toBeLessThan(15_000)
      }

      const others = written.flatMap(({ ids }) =>
        ids.flatMap((id) => [`user/${id} user.created`, `user/${id} user.updated`]),
      )
      await until(async () => (await sequencedSubjects(store)).length === others.length, { withinMs: 10_000 })
      expect((await sequencedSubjects(store)).toSorted()).toEqual(others.toSorted())
      await store.query(`commit prepared '${prepared}'`)
      await until(async () => (await sequencedSubjects(store)).at(-1) === 'user/1 user.created')
    },
    60_000,
  )
})
