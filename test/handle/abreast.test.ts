import { describe, expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createPace } from '../../src/handle/pace.ts'
import { until } from '../setup/until.ts'
import { type Running, run } from './running.ts'

const handled = async (running: Running, count: number) => {
  await until(async () => Number((await running.rows('select count(*) from effects'))[0]?.count) >= count)
}

/** Sequences 1, 2, … of each of `subjects` subjects, interleaved. */
const events = (type: string, subjects: number, each: number) =>
  Array.from({ length: subjects * each }, (_, n) => ({
    type,
    subject: `s${n % subjects}`,
    sequence: Math.floor(n / subjects) + 1,
  }))

interface Span {
  readonly from: number
  readonly to: number
}

/** How many of these were under way at once, at most. */
const mostAtOnce = (spans: readonly Span[]) =>
  Math.max(0, ...spans.map(({ from }) => spans.filter((other) => other.from <= from && from < other.to).length))

function counting() {
  const counted = { now: 0, most: 0 }
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    counted.now += 1
    counted.most = Math.max(counted.most, counted.now)
    try {
      return await work()
    } finally {
      counted.now -= 1
    }
  }
  return { counted, during }
}

describe('events of one transaction', () => {
  it('run at the same time where they make one statement each: each subject in order, each effect once, failures on their own', async () => {
    const { counted, during } = counting()
    const failed = new Set<string>()
    // When the last attempt of each began and ended, in turns of a clock that counts these.
    const spans = new Map<string, Span>()
    let turn = 0
    const handler = defineHandler({
      name: 'test.single',
      on: ['thing.*'],
      start: 'earliest',
      concurrency: 12,
      retry: { initial: '5ms', max: '20ms' },
      handle: (event, ctx) =>
        during(async () => {
          const from = ++turn
          const isFirst = event.sequence === 50 && !failed.has(event.subject ?? '')
          if (isFirst) failed.add(event.subject ?? '')
          if (isFirst && event.subject === 's3') throw new Error('before its statement')
          const sequence = isFirst && event.subject === 's5' ? 'no number' : event.sequence
          await ctx.sql`insert into effects (subject, sequence, handler) values (${event.subject}, ${sequence}, pg_current_xact_id()::text)`
          spans.set(`${event.subject} ${event.sequence}`, { from, to: ++turn })
        }),
    })
    const running = await run([handler])
    // Several subjects on some lanes, so that whoever takes of one lane only has some to run side by side.
    await running.publish(...events('thing.done', 16, 60))
    await handled(running, 960)
    expect(await running.rows('select sequence from effects group by subject, sequence having count(*) > 1')).toEqual(
      [],
    )
    const misplaced = `select from (select sequence, lag(sequence) over (partition by subject order by n) as before from effects) e
      where before >= sequence`
    expect(await running.rows(misplaced)).toEqual([])
    const rows = await running.rows(`select handler, subject || ' ' || sequence as event from effects`)
    const widths = [...Map.groupBy(rows, ({ handler }) => handler).values()].map((own) =>
      mostAtOnce(own.flatMap(({ event }) => spans.get(String(event)) ?? [])),
    )
    expect(Math.max(...widths)).toBeGreaterThan(1)
    expect(Math.max(...widths)).toBeLessThanOrEqual(3)
    expect(counted.most).toBeLessThanOrEqual(12)
    expect(await running.rows('select from evt.dead_letters')).toEqual([])
  })

  it('run one after the other from the moment one of them makes a second statement, and none has come between its two', async () => {
    const handler = defineHandler({
      name: 'test.several',
      on: ['thing.*'],
      start: 'earliest',
      async handle(event, ctx) {
        if (event.type === 'thing.owned') await ctx.sql`select set_config('app.owner', ${event.subject}, true)`
        const owner = event.type === 'thing.owned' ? 'app.owner' : 'app.none'
        await ctx.sql`insert into effects (subject, sequence, id) values (${event.subject}, ${event.sequence}, current_setting(${owner}, true))`
      },
    })
    const running = await run([handler])
    await running.publish(...events('thing.done', 20, 20))
    await handled(running, 400)
    await running.publish(...events('thing.owned', 20, 20))
    await handled(running, 800)
    expect(await running.rows('select count(*)::int as own from effects where id = subject')).toEqual([{ own: 400 }])
    expect(await running.rows('select from effects offset 800')).toEqual([])
  })

  it('run one after the other where the handler asks for that', async () => {
    const { counted, during } = counting()
    const handler = defineHandler({
      name: 'test.sequential',
      on: ['thing.*'],
      start: 'earliest',
      concurrency: 1,
      handle: (event, ctx) =>
        during(() => ctx.sql`insert into effects (subject) values (${event.subject})`.then(() => {})),
    })
    const running = await run([handler])
    await running.publish(...events('thing.done', 20, 20))
    await handled(running, 400)
    expect(counted.most).toBe(1)
  })
})

describe('the pace of a handler', () => {
  const learned = (runUs: number, count = 1000) => {
    const pace = createPace({ widest: 4, timeoutMs: 30_000, transactions: 'shared' })
    for (let n = 0; n < count; n++) pace.handled(runUs)
    return pace
  }

  it('starts with one event at a time', () => {
    expect(createPace({ widest: 4, timeoutMs: 30_000, transactions: 'shared' }).width()).toBe(1)
    expect(learned(100, 99).width()).toBe(1)
    expect(learned(100, 100).width()).toBe(4)
  })

  it('puts many quick events into one transaction, and spreads slow ones', () => {
    expect(learned(300).chunkSize()).toBe(100)
    expect(learned(20_000).chunkSize()).toBe(20)
    expect(learned(1_000_000).chunkSize()).toBe(4)
  })

  it('lets no more run side by side than their time allows: each waits for the statements before it', () => {
    expect(learned(4_000_000).width()).toBe(1)
    expect(learned(2_500_000).width()).toBe(3)
  })

  it('narrows for a while after a failure among others, and for good after a second statement', () => {
    const failed = learned(100)
    failed.narrow()
    expect(failed.width()).toBe(1)
    const several = learned(100)
    several.several()
    expect([several.width(), several.severalSeen]).toEqual([1, true])
  })
})
