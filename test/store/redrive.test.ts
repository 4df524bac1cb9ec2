import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { getDeadLetter, listCauses, listDeadLetters } from '../../src/store/dead-letters.ts'
import { discardDeadLetters, planReplay, replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { type Running, run } from '../handle/running.ts'
import { until } from '../setup/until.ts'

function build() {
  const state = { broken: true, replays: [] as unknown[] }
  const failing = (extra: Partial<HandlerDefinition> = {}): HandlerDefinition => ({
    ...defineHandler({
      name: 'test.failing',
      on: ['thing.*'],
      start: 'earliest',
      retry: { attempts: 2, initial: '1ms', max: '5ms' },
      async handle(event, ctx) {
        if (ctx.replay) state.replays.push(ctx.replay)
        await ctx.sql`insert into effects (handler, id, subject, sequence) values ('test.failing', ${event.id}, ${event.subject}, ${event.sequence})`
        if (state.broken) throw new TypeError(`cannot read order ${event.sequence}`)
      },
    }),
    ...extra,
  })
  const other = defineHandler({
    name: 'test.other',
    on: ['thing.*'],
    start: 'earliest',
    async handle(event, ctx) {
      await ctx.sql`insert into effects (handler, id) values ('test.other', ${event.id})`
    },
  })
  return { state, failing, other }
}

const things = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ type: 'thing.done', subject: `s${n % 3}`, sequence: n + 1 }))

describe('dead letters', () => {
  it('are replayed to the handler that failed and to no other, with the same id, and tell the outcome', async () => {
    const { state, failing, other } = build()
    const running = await run([failing(), other])
    const events = await running.publish(...things(12))
    await until(async () => (await running.rows('select * from evt.dead_letters')).length === 12)
    expect(await listCauses(running.store)).toMatchObject([
      {
        handler: 'test.failing',
        type: 'thing.done',
        count: 12,
        attempts: 24,
        returned: 0,
        reason: 'retries-exhausted',
      },
    ])
    const plan = await planReplay(running.store, { handler: 'test.failing' })
    expect(plan.map(({ eventId }) => eventId).toSorted()).toEqual(events.map(({ id }) => id).toSorted())
    state.broken = false
    const replayId = randomUUID()
    const request = { ids: plan.map(({ id }) => id), replayId, by: 'ada', reason: 'fixed', batch: 5 }
    // Twice at once: each dead letter goes to one of the two.
    const [one, two] = await Promise.all([
      replayDeadLetters(running.store, request),
      replayDeadLetters(running.store, request),
    ])
    expect(one.replayed.length + two.replayed.length).toBe(12)
    await until(async () => (await replayOutcome(running.store, replayId)).pending === 0)
    expect(await replayOutcome(running.store, replayId)).toEqual({ handled: 12, deadAgain: [], pending: 0, skipped: 0 })
    const effects = await running.rows(
      'select handler, count(*)::int as n, count(distinct id)::int as ids from effects group by handler order by handler',
    )
    expect(effects).toEqual([
      { handler: 'test.failing', n: 12, ids: 12 },
      { handler: 'test.other', n: 12, ids: 12 },
    ])
    const order = await running.rows(
      `select array_agg(sequence::int order by n) as seen from effects where handler = 'test.failing' group by subject`,
    )
    for (const { seen } of order) expect(seen).toEqual((seen as number[]).toSorted((a, b) => a - b))
    expect(state.replays).toContainEqual({ id: replayId, count: 1 })
    expect(await listDeadLetters(running.store)).toEqual([])
    expect(await getDeadLetter(running.store, plan[0]?.id ?? '')).toMatchObject({
      status: 'replayed',
      redrives: [{ replayId, by: 'ada', reason: 'fixed', outcome: 'handled' }],
    })
    await until(async () => (await running.rows('select * from evt.parked_subjects')).length === 0)
  })

  it('that die again come back to the same row with their history', async () => {
    const { failing } = build()
    const running = await run([failing()])
    await running.publish(...things(1))
    const [before] = await until(async () => {
      const rows = await listDeadLetters(running.store)
      return rows.length > 0 ? rows : undefined
    })
    const id = before?.id ?? ''
    const [plan] = await planReplay(running.store, {})
    await replayDeadLetters(running.store, { ids: [id], replayId: 'first', by: 'ada' })
    await until(async () => (await replayOutcome(running.store, 'first')).pending === 0)
    const outcome = await replayOutcome(running.store, 'first')
    expect(outcome).toEqual({ handled: 0, deadAgain: [{ cause: before?.cause, count: 1 }], pending: 0, skipped: 0 })
    const after = await until(async () => (await listDeadLetters(running.store))[0])
    expect(after).toMatchObject({ id, status: 'open', returned: 1, replayCount: 1 })
    expect({ headers: after.headers, body: after.body }).toEqual({ headers: before?.headers, body: before?.body })
    expect(await planReplay(running.store, {})).toMatchObject([{ id, bodyHash: plan?.bodyHash }])
    expect(after.attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2])
    expect(
      await replayDeadLetters(running.store, {
        ids: [id, 'nonsense', '99999'],
        replayId: 'second',
        by: 'ada',
        maxReplays: 1,
      }),
    ).toEqual({
      replayed: [],
      left: [id, 'nonsense', '99999'],
    })
  })

  it('whose effect exists already are skipped', async () => {
    const { state, failing } = build()
    const running = await run([failing()])
    const [event] = await running.publish(...things(1))
    const [dead] = await until(async () => {
      const rows = await listDeadLetters(running.store)
      return rows.length > 0 ? rows : undefined
    })
    await running.store.query(`insert into evt.inbox (handler, event_id, day) values ('test.failing', $1, $2)`, [
      event?.id,
      event?.time.slice(0, 10),
    ])
    state.broken = false
    await replayDeadLetters(running.store, { ids: [dead?.id ?? ''], replayId: 'one', by: 'ada' })
    await until(async () => (await replayOutcome(running.store, 'one')).skipped === 1)
    expect(await running.rows('select * from effects')).toEqual([])
    expect(await listDeadLetters(running.store)).toEqual([])
  })

  it('free a blocked subject when they are replayed, and go before what waits', async () => {
    const { state, failing } = build()
    const running = await run([failing({ afterDead: 'block' })])
    await running.publish(...[1, 2, 3].map((sequence) => ({ type: 'thing.done', subject: 'a', sequence })))
    const [dead] = await until(async () => {
      const rows = await listDeadLetters(running.store)
      return rows.length > 0 ? rows : undefined
    })
    await until(async () => (await running.rows('select * from evt.deliveries')).length === 2)
    // It dies again: the subject is blocked again.
    await replayDeadLetters(running.store, { ids: [dead?.id ?? ''], replayId: 'one', by: 'ada' })
    await until(async () => (await replayOutcome(running.store, 'one')).deadAgain.length === 1)
    expect(await running.rows('select * from effects')).toEqual([])
    state.broken = false
    await replayDeadLetters(running.store, { ids: [dead?.id ?? ''], replayId: 'two', by: 'ada' })
    await until(async () => (await running.rows('select * from effects')).length === 3)
    expect(await running.rows('select sequence::int from effects order by n')).toEqual([
      { sequence: 1 },
      { sequence: 2 },
      { sequence: 3 },
    ])
    await until(async () => (await running.rows('select * from evt.parked_subjects')).length === 0)
  })
})

/** Another transaction has a subject and then wants the dead letters: one of the two has to give way, and that one waits longer. */
async function entangle(url: string): Promise<{ meet(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`begin; set local deadlock_timeout = '1min'`)
  await client.query(`insert into evt.parked_subjects (handler, subject, lane) values ('test.failing', 's1', 'lane')
    on conflict (handler, subject) do update set lane = excluded.lane`)
  return {
    async meet() {
      await client.query('select from evt.dead_letters for update')
      await client.query('commit')
      await client.end()
    },
  }
}

const isWaiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`

describe('meeting another transaction', () => {
  it.each([
    ['a replay', (running: Running, ids: readonly string[]) => replayAll(running, ids)],
    ['a discard', (running: Running, ids: readonly string[]) => discardDeadLetters(running.store, ids, 'no')],
  ])('%s gives way and tries again', async (_, work) => {
    const { failing } = build()
    const running = await run([failing({ afterDead: 'block' })])
    await running.publish(...things(3))
    await until(async () => (await running.rows('select * from evt.dead_letters')).length === 3)
    const ids = (await listDeadLetters(running.store)).map(({ id }) => id)
    const other = await entangle(running.url)
    const working = work(running, ids)
    await until(async () => (await running.rows(isWaiting)).length > 0)
    await other.meet()
    expect(await working).toBe(3)
  })

  it('gives up after a bounded number of tries, and has done nothing', async () => {
    const { failing } = build()
    const running = await run([failing()])
    await running.publish(...things(3))
    await until(async () => (await running.rows('select * from evt.dead_letters')).length === 3)
    const ids = (await listDeadLetters(running.store)).map(({ id }) => id)
    await running.store.query(`create sequence tries`)
    await running.store.query(`create function spoil() returns trigger language plpgsql as $$ begin
      perform nextval('tries'); raise exception 'spoilt' using errcode = '40001'; end $$`)
    await running.store.query('create trigger spoil before insert on evt.redrives execute function spoil()')
    await expect(replayAll(running, ids)).rejects.toMatchObject({
      code: 'timeout',
      message: 'cannot replay dead letters: other transactions were in the way 6 times',
    })
    expect(await running.rows('select last_value::int as tries from tries')).toEqual([{ tries: 6 }])
    expect(await listDeadLetters(running.store)).toHaveLength(3)
  })
})

async function replayAll({ store }: Running, ids: readonly string[]): Promise<number> {
  return (await replayDeadLetters(store, { ids, replayId: randomUUID(), by: 'ada' })).replayed.length
}
