import { expect, it } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import { defineBatchHandler } from '../../src/handle/define-batch-handler.ts'
import type { HandlerContext } from '../../src/handle/handler.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

/** Writes an effect for each event, in one statement; fails when a guilty one is among them. */
function ledger(more: object = {}) {
  const sizes: number[] = []
  const guilty = new Set<string>()
  const definition = defineBatchHandler({
    name: 'test.ledger',
    on: ['thing.*'],
    start: 'earliest',
    batch: 20,
    concurrency: 1,
    retry: { attempts: 1 },
    ...more,
    async handle(events: readonly EvtEvent[], ctx: HandlerContext) {
      sizes.push(events.length)
      await ctx.sql`insert into effects (handler, id, subject, sequence)
        select 'ledger', * from unnest(${events.map(({ id }) => id)}::text[], ${events.map(({ subject }) => subject)}::text[],
          ${events.map(({ sequence }) => sequence)}::bigint[])`
      const bad = events.find(({ subject, sequence }) => guilty.has(`${subject} ${sequence}`))
      if (bad) throw new Error(`guilty: ${bad.subject} ${bad.sequence}`)
    },
  })
  return { definition, sizes, guilty }
}

const things = (count: number, subjects = 5) =>
  Array.from({ length: count }, (_, n) => ({
    type: 'thing.made',
    subject: `s/${n % subjects}`,
    sequence: Math.floor(n / subjects) + 1,
  }))

const inOrder = `select subject, array_agg(sequence::int order by n) as sequences from effects group by 1 order by 1`

it('a batch handler takes several events at once, in one transaction', async () => {
  const { definition, sizes } = ledger()
  const running = await run([])
  await running.publish(...things(100))
  await running.another([definition])
  await until(async () => (await running.rows('select 1 from effects')).length === 100)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(20)
  expect(Math.max(...sizes)).toBeGreaterThan(1)
  const all = Array.from({ length: 20 }, (_, n) => n + 1)
  expect(await running.rows(inOrder)).toEqual(
    Array.from({ length: 5 }, (_, n) => ({ subject: `s/${n}`, sequences: all })),
  )
})

it('a batch that fails is halved down to the guilty events: these die, all others are handled once and in order', async () => {
  const { definition, guilty } = ledger()
  guilty.add('s/1 3')
  guilty.add('s/4 4')
  const running = await run([])
  await running.publish(...things(60))
  await running.another([definition])
  await until(async () => (await running.rows('select 1 from evt.dead_letters')).length === 2)
  await until(async () => (await running.rows('select 1 from effects')).length === 58)
  const dead = await running.rows('select subject, error_message from evt.dead_letters order by subject')
  expect(dead).toEqual([
    { subject: 's/1', error_message: 'guilty: s/1 3' },
    { subject: 's/4', error_message: 'guilty: s/4 4' },
  ])
  for (const { sequences } of (await running.rows(inOrder)) as { sequences: number[] }[])
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
})

it('a guilty event that is tried again holds its subject, and what waited comes as a batch behind it', async () => {
  const { definition, guilty, sizes } = ledger({ retry: { attempts: 50, initial: '20ms', max: '20ms' } })
  guilty.add('s/2 2')
  const running = await run([])
  await running.publish(...things(60))
  await running.another([definition])
  await until(async () => (await running.rows('select 1 from effects')).length === 49)
  guilty.clear()
  sizes.length = 0
  await until(async () => (await running.rows('select 1 from effects')).length === 60)
  expect(await running.rows('select * from evt.deliveries')).toEqual([])
  expect(sizes).toContain(10)
  const all = Array.from({ length: 12 }, (_, n) => n + 1)
  expect((await running.rows(inOrder)).map(({ sequences }) => sequences)).toEqual(Array.from({ length: 5 }, () => all))
})

it('a batch that does not end is over after its time, and only its guilty event dies', async () => {
  const seen = new Set<string>()
  const running = await run([])
  await running.publish(...things(8, 8))
  await running.another([
    defineBatchHandler({
      name: 'test.slow',
      on: ['thing.*'],
      start: 'earliest',
      batch: 8,
      transaction: 'none',
      timeout: '100ms',
      retry: { attempts: 1 },
      async handle(events) {
        if (events.some(({ subject }) => subject === 's/5')) await new Promise(() => {})
        for (const { subject } of events) seen.add(subject ?? '')
      },
    }),
  ])
  await until(async () => (await running.rows('select 1 from evt.dead_letters')).length === 1)
  await until(() => seen.size === 7)
  expect(await running.rows('select subject, error_class from evt.dead_letters')).toEqual([
    { subject: 's/5', error_class: 'TimeoutError' },
  ])
})

it('a batch handler with a transaction for each event is refused', async () => {
  const { definition } = ledger({ transaction: 'event' })
  await expect(run([definition])).rejects.toThrow('cannot use handler "test.ledger": transaction is \'event\'')
})
