import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { listDeadLetters } from '../../src/store/dead-letters.ts'
import { planReplay, replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { type Running, run } from '../handle/running.ts'
import { until } from '../setup/until.ts'

const count = 6

/** A handler with six dead letters of three subjects, which would handle them now. */
async function mendedWithDeadLetters() {
  let isBroken = true
  const handler = defineHandler({
    name: 'test.mended',
    on: ['thing.*'],
    retry: { attempts: 1 },
    async handle(event, ctx) {
      if (isBroken) throw new Error('not yet')
      await ctx.sql`insert into effects (handler, id, subject, sequence) values ('test.mended', ${event.id}, ${event.subject}, ${event.sequence})`
    },
  })
  const running = await run([handler])
  await running.publish(
    ...Array.from({ length: count }, (_, n) => ({ type: 'thing.done', subject: `s${n % 3}`, sequence: n + 1 })),
  )
  await until(async () => (await listDeadLetters(running.store)).length === count)
  isBroken = false
  const ids = (await listDeadLetters(running.store)).map(({ id }) => id)
  return { ...running, ids }
}

async function numberOf({ rows }: Pick<Running, 'rows'>, from: string): Promise<number> {
  return Number((await rows(`select count(*) as n from ${from}`))[0]?.n)
}

/** What the replay and then the handler do, statement by statement, each with the end of its transaction. */
const steps = {
  marked: `after update on evt.dead_letters for each row when (new.status = 'replaying')`,
  noted: 'after insert on evt.redrives for each row',
  parked: 'after insert on evt.parked_subjects for each row',
  handed_over: 'after insert on evt.deliveries for each row',
  handing_over_ended: 'after insert on evt.deliveries deferrable initially deferred for each row',
  handled: 'after insert on effects for each row',
  entered: 'after insert on evt.inbox for each row',
  removed: 'after delete on evt.deliveries for each row',
  settled: `after update on evt.redrives for each row when (new.outcome = 'handled')`,
  resolved: `after update on evt.dead_letters for each row when (new.status = 'replayed')`,
  handling_ended: 'after delete on evt.deliveries deferrable initially deferred for each row',
}

/** The first session that comes to a step ends there. What it took from a sequence stays taken. */
async function endSessions({ store }: Running): Promise<void> {
  await store.query(`create function end_session() returns trigger language plpgsql as $$ begin
    if nextval(tg_argv[0]) = 1 then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(60); end if;
    return null; end $$`)
  for (const [name, at] of Object.entries(steps)) {
    await store.query(`create sequence ${name}_ends`)
    const kind = at.includes('deferred') ? 'constraint trigger' : 'trigger'
    await store.query(`create ${kind} ${name} ${at} execute function end_session('${name}_ends')`)
  }
}

it('a replay whose session ends at each of its steps hands over each dead letter or leaves it open, and each is handled once', async () => {
  const running = await mendedWithDeadLetters()
  await endSessions(running)
  const replayId = randomUUID()
  const request = { ids: running.ids, replayId, by: 'ada', batch: 2 }
  const notOpen = () => numberOf(running, `evt.dead_letters where status <> 'open'`)
  let ends = 0
  while (ends < 10 && (await notOpen()) < count) {
    await replayDeadLetters(running.store, request).catch(() => ends++)
    expect(await numberOf(running, 'evt.redrives')).toBe(await notOpen())
  }
  expect(ends).toBe(5)
  await until(async () => (await replayOutcome(running.store, replayId)).pending === 0, { withinMs: 30_000 })
  expect(await replayOutcome(running.store, replayId)).toEqual({
    handled: count,
    deadAgain: [],
    pending: 0,
    skipped: 0,
  })
  for (const name of Object.keys(steps))
    expect(await running.rows(`select is_called from ${name}_ends`), name).toEqual([{ is_called: true }])
  const effects = await running.rows(
    'select subject, array_agg(sequence::int order by n) as seen from effects group by 1',
  )
  expect(effects.map(({ seen }) => seen).toSorted()).toEqual([
    [1, 4],
    [2, 5],
    [3, 6],
  ])
  expect(await numberOf(running, 'evt.deliveries')).toBe(0)
  expect(await numberOf(running, `evt.dead_letters where status = 'replayed' and returned = 0`)).toBe(count)
}, 60_000)

it('a dead letter whose event waits for its handler again is replayed in its place, once, and not dropped', async () => {
  const running = await mendedWithDeadLetters()
  await running.rows(`insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, headers, body, next_at)
    select handler, lane, subject, event_id, type, topic, at, headers, body, clock_timestamp() + interval '1 hour' from evt.dead_letters`)
  await running.rows(
    'insert into evt.parked_subjects (handler, subject, lane) select distinct handler, subject, lane from evt.deliveries',
  )
  const request = { ids: running.ids, replayId: 'one', by: 'ada' }
  expect((await replayDeadLetters(running.store, request)).left).toEqual([])
  await until(async () => (await replayOutcome(running.store, 'one')).handled === count)
  expect(await running.rows('select id from effects')).toHaveLength(count)
  expect(await numberOf(running, 'evt.deliveries')).toBe(0)
  expect(await planReplay(running.store, {})).toEqual([])
})
