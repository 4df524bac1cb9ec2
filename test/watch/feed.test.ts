import { describe, expect, it, onTestFinished } from 'vitest'
import { openStore, type Store } from '../../src/store/connection.ts'
import { type FeedLine, startFeed } from '../../src/watch/feed.ts'
import type { Snapshot } from '../../src/watch/snapshot.ts'
import { createTestDatabase } from '../setup/database.ts'
import { serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

function follow(store: Store, answerWithinMs?: number) {
  const heard = { snapshots: [] as Snapshot[], lines: [] as FeedLine[], skipped: 0, troubles: [] as string[] }
  const stop = startFeed({
    store,
    ...(answerWithinMs === undefined ? {} : { answerWithinMs }),
    onSnapshot: (snapshot) => heard.snapshots.push(snapshot),
    onEvents: (lines, skipped) => {
      heard.lines.push(...lines)
      heard.skipped += skipped
    },
    onTrouble: (message) => heard.troubles.push(message),
  })
  onTestFinished(stop)
  return heard
}

const publish = (store: Store, count: number) =>
  store.query(`select evt.publish('user.created', '{"a": 1}', 'user/' || n) from generate_series(1, $1) n`, [count])

/** Events are followed from "now", which is some time after the start: one is published until one is seen. */
async function followed(store: Store, heard: { readonly lines: readonly FeedLine[] }): Promise<void> {
  const before = heard.lines.length
  await until(async () => {
    await publish(store, 1)
    return heard.lines.length > before
  })
}

describe('startFeed', () => {
  it('tells of new events, and of many at once the newest with a count of the others', async () => {
    const { store } = await createTestDatabase({ max: 6 })
    const heard = follow(store)
    await followed(store, heard)
    expect(heard.lines[0]).toMatchObject({ type: 'user.created', subject: 'user/1', position: '', data: '{"a": 1}' })
    const before = heard.lines.length + heard.skipped
    await publish(store, 450)
    await until(() => heard.lines.at(-1)?.subject === 'user/450', { what: 'the newest event' })
    expect(heard.lines.length + heard.skipped).toBeGreaterThanOrEqual(before + 450)
    expect(heard.skipped).toBeGreaterThanOrEqual(350)
    expect(heard.troubles).toEqual([])
  })

  it('says that the store is away, and goes on when it is back', async () => {
    const { store, url } = await createTestDatabase({ max: 6 })
    const database = new URL(url).pathname.slice(1)
    const admin = await openStore(await serverUrl(), { applicationName: 'evt test', max: 1 })
    onTestFinished(admin.close)
    const heard = follow(store)
    await until(() => heard.snapshots.length > 0, { what: 'a snapshot' })
    await followed(store, heard)
    await admin.query(`alter database ${database} allow_connections false`)
    await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database])
    await until(() => heard.troubles.length > 0, { what: 'the trouble' })
    await admin.query(`alter database ${database} allow_connections true`)
    const { length } = heard.snapshots
    await until(() => heard.snapshots.length > length, { what: 'another snapshot' })
    await followed(store, heard)
  })

  it('says that the store does not answer, without asking it again and again', async () => {
    const { store } = await createTestDatabase({ max: 6 })
    const blocker = await store.pool.connect()
    try {
      await blocker.query('begin; lock table evt.instances in access exclusive mode')
      const heard = follow(store, 100)
      await until(() => heard.troubles.length >= 3, { what: 'the trouble' })
      expect(heard.troubles[0]).toMatch(/^no answer from postgres:\/\/.* for \d+s$/)
      expect(heard.snapshots).toEqual([])
      const { rows } = await store.query(
        `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      expect(rows).toEqual([{ waiting: 1 }])
      await blocker.query('commit')
      await until(() => heard.snapshots.length > 0, { what: 'a snapshot' })
    } finally {
      blocker.release()
    }
  })
})
