import { expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { findReplay, listReplays, type Replay, takeReplay, tellReplay } from '../../src/store/replays.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { openReplayOf, runOnce, writeHistory } from './history.ts'

const counting = (more: Partial<HandlerDefinition> = {}): HandlerDefinition => ({
  name: 'things.count',
  on: ['thing.*'],
  async handle(event, ctx) {
    await ctx.sql`insert into effects (id, subject, n, replay) values (${event.id}, ${event.subject}, ${event.data.n}, ${ctx.replay?.id})`
  },
  ...more,
})

async function withEffects(events: number) {
  const { store, url } = await createTestDatabase({ max: 12 })
  await store.query(
    'create table effects (at bigint generated always as identity, id text, subject text, n int, replay text)',
  )
  await writeHistory(store, events)
  const effects = async (): Promise<Record<string, unknown>[]> => [
    ...(await store.query('select id, subject, n, replay from effects order by at')).rows,
  ]
  return { store, url, effects }
}

it('a handler gets the history that was chosen once, in the order of each subject, although its inbox has it; others see nothing', async () => {
  const { store, effects } = await withEffects(200)
  // It was handled when it happened.
  await store.query(
    `insert into evt.inbox (handler, event_id, day) select 'things.count', 'e' || n, current_date from generate_series(1, 200) n`,
  )
  await store.query(`select evt.ensure_group('things.count', 16, 200), evt.ensure_group('things.other', 16, 200)`)
  const before = await store.query('select * from evt.lanes order by 1, 2')
  const handlers = [counting()]
  const replay = await openReplayOf(store, handlers, { upto: 200n, where: 'data.n > 50' })
  const { end, handlers: outcome } = await runOnce(store, replay, handlers)
  expect({ end, outcome }).toMatchObject({ end: 'done', outcome: [{ handled: 150, dead: 0, retrying: 0 }] })
  const got = await effects()
  expect(got).toHaveLength(150)
  expect(new Set(got.map(({ replay }) => replay))).toEqual(new Set(['r1']))
  for (let subject = 0; subject < 10; subject += 1) {
    const own = got.filter((one) => one.subject === `s/${subject}`).map(({ n }) => Number(n))
    expect(own).toEqual([...own].sort((a, b) => a - b))
  }
  expect((await store.query('select * from evt.lanes order by 1, 2')).rows).toEqual(before.rows)
  expect((await store.query(`select from evt.inbox where handler like '%replay%'`)).rows).toEqual([])
  expect(await findReplay(store, 'r1')).toMatchObject({ status: 'done', done: 150 })
})

it('by type, subject, correlation and position; nothing behind the end that was planned', async () => {
  const { store, effects } = await withEffects(40)
  await writeHistory(store, 20, 'other.happened')
  const handlers = [counting({ on: ['*'] })]
  const run = async (id: string, more: object) => {
    await store.query('delete from effects')
    await runOnce(store, await openReplayOf(store, handlers, { id, upto: 50n, ...more }), handlers)
    return (await effects()).length
  }
  expect(await run('a', { types: ['thing.*'] })).toBe(40)
  expect(await run('b', { subject: 's/3' })).toBe(5)
  expect(await run('c', { correlation: 'c1', upto: 40n })).toBe(10)
  expect(await run('d', { after: 9n, upto: 19n })).toBe(10)
})

it('paused while it runs, it goes on where it was; stopped, it leaves nothing of itself', async () => {
  const { store, effects } = await withEffects(400)
  let seen = 0
  const handlers = [
    counting({
      concurrency: 1,
      transaction: 'event',
      async handle(event, ctx) {
        seen += 1
        await ctx.sql`insert into effects (id, subject, n, replay) values (${event.id}, ${event.subject}, 0, ${ctx.replay?.id})`
      },
    }),
  ]
  const replay = await openReplayOf(store, handlers, { upto: 400n, ratePerSecond: 300 })
  const first = runOnce(store, replay, handlers)
  await until(() => seen >= 20)
  expect(await takeReplay(store, 'r1', 'another')).toBeUndefined()
  await tellReplay(store, 'r1', 'paused')
  expect((await first).end).toBe('paused')
  const part = (await effects()).length
  expect(part).toBeGreaterThan(0)
  expect(part).toBeLessThan(400)
  expect(await store.query(`select who from evt.needs where who like '%replay%'`)).toMatchObject({
    rows: [{ who: 'group things.count.replay-r1' }],
  })
  const unpaced = { ...replay, selection: { ...replay.selection, ratePerSecond: 100_000 } }
  expect((await runOnce(store, unpaced, handlers)).end).toBe('done')
  const all = (await effects()).map(({ id }) => id)
  expect(all).toHaveLength(400)
  expect(new Set(all).size).toBe(400)

  const again = await openReplayOf(store, handlers, { id: 'r2', upto: 400n, ratePerSecond: 50 })
  const second = runOnce(store, again, handlers)
  await until(async () => (await effects()).length > 400)
  await tellReplay(store, 'r2', 'stopped')
  expect((await second).end).toBe('stopped')
  expect((await listReplays(store, 5)).map(({ id, status }) => [id, status])).toEqual([
    ['r2', 'stopped'],
    ['r1', 'done'],
  ])
  const left = `select name from evt.groups union all select handler from evt.inbox union all select handler from evt.deliveries`
  expect((await store.query(left)).rows).toEqual([])
  expect((await store.query('select who from evt.needs')).rows).toEqual([])
})

it('what fails is tried again, is a dead letter of the replay, and parks nobody else', async () => {
  const { store, effects } = await withEffects(20)
  const failed = new Set<string>()
  const handlers = [
    counting({
      retry: { attempts: 2, initial: '10ms', max: '10ms' },
      async handle(event, ctx) {
        if (event.id === 'e7') throw new Error('never')
        if (event.id === 'e8' && !failed.has('e8')) {
          failed.add('e8')
          throw new Error('once')
        }
        await ctx.sql`insert into effects (id, subject, n, replay) values (${event.id}, ${event.subject}, 0, ${ctx.replay?.id})`
      },
    }),
  ]
  const { end, handlers: outcome } = await runOnce(store, await openReplayOf(store, handlers, { upto: 20n }), handlers)
  expect({ end, outcome }).toMatchObject({ end: 'done', outcome: [{ handled: 19, dead: 1, retrying: 0, waiting: 0 }] })
  expect(await effects()).toHaveLength(19)
  const { rows } = await store.query('select handler, event_id from evt.dead_letters')
  expect(rows).toEqual([{ handler: 'things.count.replay-r1', event_id: 'e7' }])
})

it('history that came back from an archive is replayed, and tried again where that fails', async () => {
  const { store, effects } = await withEffects(20)
  const { rows } = await store.query("select 'evt.outbox_default_' || to_char(evt.today(), 'YYYYMMDD') as leaf")
  // As `evt retention restore` leaves it: a table with the partition's name, and no partition.
  await store.query(`alter table evt.outbox_default detach partition ${rows[0]?.leaf}`)
  let failures = 0
  const handlers = [
    counting({
      retry: { attempts: 3, initial: '10ms', max: '10ms' },
      async handle(event, ctx) {
        if (event.id === 'e7' && ctx.attempt === 1) {
          failures += 1
          throw new Error('once')
        }
        await ctx.sql`insert into effects (id, subject, n, replay) values (${event.id}, ${event.subject}, 0, ${ctx.replay?.id})`
      },
    }),
  ]
  const { handlers: outcome } = await runOnce(store, await openReplayOf(store, handlers, { upto: 20n }), handlers)
  expect(outcome).toMatchObject([{ handled: 20, dead: 0 }])
  expect(failures).toBe(1)
  expect(await effects()).toHaveLength(20)
})

it('handlers without a transaction are counted too, also over several runs', async () => {
  const { store } = await withEffects(200)
  let seen = 0
  const handle = () => {
    seen += 1
  }
  const handlers = [counting({ transaction: 'none', handle })]
  const replay = await openReplayOf(store, handlers, { upto: 200n, ratePerSecond: 200 })
  const first = runOnce(store, replay, handlers)
  await until(() => seen > 0)
  await tellReplay(store, 'r1', 'paused')
  expect(await first).toMatchObject({ end: 'paused', handlers: [{ handled: seen }] })
  const left = (await findReplay(store, 'r1')) as Replay
  expect(left.done).toBe(seen)
  const unpaced = { ...left, selection: { ...left.selection, ratePerSecond: 100_000 } }
  await runOnce(store, unpaced, handlers)
  expect(seen).toBe(200)
  expect(await findReplay(store, 'r1')).toMatchObject({ status: 'done', done: 200 })
})
