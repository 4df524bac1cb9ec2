import { expect, it, onTestFinished } from 'vitest'
import { type Bridge, createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { planReplay, replayDeadLetters } from '../../src/store/redrive.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

interface Behaviour {
  readonly concurrency: number
  /** What fails, and what needs no second look. */
  readonly fails?: (id: string) => boolean
  readonly attempts?: number
  readonly from?: 'earliest' | 'latest'
}

async function start(url: string, { concurrency, fails, attempts, from }: Behaviour): Promise<Bridge> {
  const handler = defineHandler({
    name: 'test.regroup',
    on: ['*'],
    start: from ?? 'earliest',
    concurrency,
    retry: { attempts: attempts ?? 5, backoff: 'fixed', initial: '20ms', max: '20ms' },
    async handle(event, ctx) {
      if (fails?.(event.id)) throw new Error('not yet')
      await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.subject})`
    },
  })
  const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return bridge
}

const publish = (store: Store, id: string, subject: string) =>
  store.query(`select evt.publish('thing.done', '{}', $1, id => $2)`, [subject, id])

const count = async (store: Store, from: string) =>
  Number((await store.query(`select count(*) from ${from}`)).rows[0]?.count)

const createEffects = (store: Store) =>
  store.query('create table effects (n bigint generated always as identity, id text, subject text)')

describeServers('a group that is made again with another number of lanes', (server) => {
  it('goes on with what it had stored: parked subjects, retries, dead letters', async () => {
    const { url, store } = await createTestDatabase({ server })
    await createEffects(store)
    const subjects = Array.from({ length: 8 }, (_, n) => `s${n}`)
    const before = await start(url, { concurrency: 17, attempts: 1, fails: (id) => id.startsWith('dead') })
    for (const subject of subjects) await publish(store, `dead-${subject}`, subject)
    await until(async () => (await count(store, 'evt.dead_letters')) === 8)
    await before.stop()
    const failing = await start(url, { concurrency: 17, attempts: 1000, fails: () => true })
    for (const n of [1, 2]) for (const subject of subjects) await publish(store, `${n}-${subject}`, subject)
    await until(async () => (await count(store, 'evt.deliveries')) === 16)
    await failing.stop()
    await store.query('delete from evt.groups')
    const after = await start(url, { concurrency: 1, from: 'latest' })
    await until(async () => (await count(store, 'evt.lanes')) === 16)
    await until(async () => (await count(store, "effects where id not like 'dead%'")) === 16, { withinMs: 10_000 })
    const ids = (await planReplay(store, {})).map(({ id }) => id)
    await replayDeadLetters(store, { ids, replayId: 'again', by: 'ada' })
    await until(async () => (await count(store, 'effects')) === 24, { withinMs: 10_000 })
    await until(async () => (await count(store, 'evt.parked_subjects')) + (await count(store, 'evt.deliveries')) === 0)
    const { rows } = await store.query(
      `select array_agg(left(id, 1) order by n) as seen from effects where id not like 'dead%' group by subject`,
    )
    expect(rows.map(({ seen }) => seen)).toEqual(subjects.map(() => ['1', '2']))
    await after.stop()
  }, 60_000)

  it('is followed by members that run: no subject falls between the lanes', async () => {
    const { url, store } = await createTestDatabase({ server })
    await createEffects(store)
    await start(url, { concurrency: 17 })
    await publish(store, 'before', 'before')
    await until(async () => (await count(store, 'effects')) === 1)
    await store.query('delete from evt.groups')
    await publish(store, 'between', 'between')
    await store.query(`select evt.ensure_group('test.regroup', 16, 0)`)
    for (let n = 0; n < 300; n++) await publish(store, `e${n}`, `s${n}`)
    await until(async () => (await count(store, 'effects')) >= 302, { withinMs: 15_000 })
    expect(await count(store, 'effects')).toBe(302)
    await until(async () => (await count(store, 'evt.lanes where owner is not null')) === 16)
  }, 60_000)
})
