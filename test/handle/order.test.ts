import { describe, expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { discardDeadLetters } from '../../src/store/redrive.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import { until } from '../setup/until.ts'
import { type Running, run } from './running.ts'

const quick = { attempts: 4, initial: '5ms', max: '20ms' } as const

const effects = (
  extra: Partial<HandlerDefinition> & {
    readonly fails: (
      event: { readonly id: string; readonly subject?: string; readonly sequence?: number },
      attempt: number,
    ) => boolean
  },
) => {
  const { fails, ...rest } = extra
  return {
    ...defineHandler({
      name: 'test.order',
      on: ['thing.*'],
      start: 'earliest',
      retry: quick,
      async handle(event, ctx) {
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
        if (fails(event, ctx.attempt)) throw new Error('not now')
      },
    }),
    ...rest,
  }
}

const seen = (running: Running) =>
  running.rows(
    'select subject, array_agg(sequence::int order by n) as seen from effects group by subject order by subject',
  )

describe('the order of a subject', () => {
  it('holds through failing first attempts, over two processes that come and go', async () => {
    const handler = effects({ fails: (_, attempt) => attempt === 1 && Math.random() < 0.05 })
    const running = await run([handler])
    const total = 3000
    const publish = async () => {
      for (let from = 0; from < total; from += 100) {
        await running.publish(
          ...Array.from({ length: 100 }, (_, n) => ({
            type: 'thing.done',
            subject: `s${(from + n) % 30}`,
            sequence: Math.floor((from + n) / 30) + 1,
          })),
        )
      }
    }
    const churn = async () => {
      for (let round = 0; round < 3; round++) {
        const transport = openMemory(`memory://${running.name}`)
        const other = await running.another([handler], { transport })
        await until(
          async () =>
            ((await running.rows('select count(*)::int as n from effects'))[0]?.n as number) > (round + 1) * 500,
        )
        await other.stop()
        await transport.close()
      }
    }
    await Promise.all([publish(), churn()])
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === total, {
      withinMs: 20_000,
    })
    for (const { seen: sequences } of await seen(running))
      expect(sequences).toEqual(Array.from({ length: total / 30 }, (_, n) => n + 1))
    await until(async () => (await running.rows('select * from evt.deliveries')).length === 0)
    expect(await running.rows('select * from evt.parked_subjects')).toEqual([])
  })

  it('lets others flow while one waits, and drains what waits in order', async () => {
    let broken = true
    const running = await run([
      effects({
        retry: { attempts: 1000, initial: '5ms', max: '50ms' },
        fails: (event) => event.subject === 'a' && event.sequence === 1 && broken,
      }),
    ])
    await running.publish(
      ...Array.from({ length: 300 }, (_, n) => ({
        type: 'thing.done',
        subject: n % 2 === 0 ? 'a' : 'b',
        sequence: Math.floor(n / 2) + 1,
      })),
    )
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === 150)
    expect((await seen(running)).map(({ subject }) => subject)).toEqual(['b'])
    await until(async () => (await running.rows('select count(*)::int as n from evt.deliveries'))[0]?.n === 150)
    broken = false
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === 300)
    for (const { seen: sequences } of await seen(running))
      expect(sequences).toEqual(Array.from({ length: 150 }, (_, n) => n + 1))
    await until(async () => (await running.rows('select * from evt.parked_subjects')).length === 0)
  })

  it('stops behind a dead letter when the handler says so, until it is discarded', async () => {
    const running = await run([
      effects({ afterDead: 'block', retry: { ...quick, attempts: 2 }, fails: (event) => event.sequence === 2 }),
    ])
    await running.publish(...[1, 2, 3, 4].map((sequence) => ({ type: 'thing.done', subject: 'a', sequence })), {
      type: 'thing.done',
      subject: 'b',
      sequence: 1,
    })
    const [dead] = await until(async () => {
      const rows = await running.rows('select id from evt.dead_letters')
      return rows.length > 0 ? rows : undefined
    })
    await until(async () => (await running.rows('select * from evt.deliveries')).length === 2)
    expect(await seen(running)).toEqual([
      { subject: 'a', seen: [1] },
      { subject: 'b', seen: [1] },
    ])
    expect(await discardDeadLetters(running.store, [String(dead?.id)], 'not needed')).toBe(1)
    await until(async () => (await running.rows('select * from effects')).length === 4)
    expect((await seen(running))[0]).toEqual({ subject: 'a', seen: [1, 3, 4] })
    await until(async () => (await running.rows('select * from evt.parked_subjects')).length === 0)
  })

  it('is not kept for a handler that does not need it: the failing one is retried on its own', async () => {
    const running = await run([
      effects({ ordering: 'none', fails: (event, attempt) => event.sequence === 1 && attempt < 3 }),
    ])
    await running.publish(...[1, 2, 3].map((sequence) => ({ type: 'thing.done', subject: 'a', sequence })))
    await until(async () => (await running.rows('select * from effects')).length === 3)
    expect(await seen(running)).toEqual([{ subject: 'a', seen: [2, 3, 1] }])
    expect(await running.rows('select * from evt.parked_subjects')).toEqual([])
  })
})
