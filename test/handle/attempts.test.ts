import { describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { until } from '../setup/until.ts'
import { messageOf, run, silent } from './running.ts'

const quick = { attempts: 3, initial: '5ms', max: '10ms' } as const

describe('a handler', () => {
  it('has its effect once for each event, in the order of the subject', async () => {
    const effects = defineHandler({
      name: 'test.effects',
      on: ['thing.*'],
      start: 'earliest',
      async handle(event, ctx) {
        await ctx.sql`insert into effects (handler, id, subject, sequence) values ('test.effects', ${event.id}, ${event.subject}, ${event.sequence})`
      },
    })
    const running = await run([effects])
    const events = await running.publish(
      ...Array.from({ length: 500 }, (_, n) => ({
        type: 'thing.done',
        subject: `s${n % 7}`,
        sequence: Math.floor(n / 7) + 1,
      })),
    )
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === 500)
    const rows = await running.rows(
      'select subject, array_agg(sequence::int order by n) as seen from effects group by subject',
    )
    expect(rows).toHaveLength(7)
    for (const { seen } of rows) expect(seen).toEqual((seen as number[]).map((_, at) => at + 1))
    expect(await running.rows('select count(*)::int as n from evt.inbox')).toEqual([{ n: events.length }])
    expect(running.recorder.sample().handlers[0]).toMatchObject({ handled: 500, failed: 0, queued: 0, inFlight: 0 })
  })

  it('that fails is retried, and its effect and the others’ in its chunk happen once', async () => {
    const tries = new Map<string, number>()
    const flaky = defineHandler({
      name: 'test.flaky',
      breaker: false,
      on: ['thing.*'],
      start: 'earliest',
      retry: quick,
      async handle(event, ctx) {
        tries.set(event.id, (tries.get(event.id) ?? 0) + 1)
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
        if (event.sequence === 3 && ctx.attempt < 3) throw new Error(`not yet ${ctx.attempt}`)
      },
    })
    const running = await run([flaky])
    await running.publish(
      ...Array.from({ length: 200 }, (_, n) => ({
        type: 'thing.done',
        subject: `s${n % 20}`,
        sequence: Math.floor(n / 20) + 1,
      })),
    )
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === 200)
    const rows = await running.rows(
      'select subject, array_agg(sequence::int order by n) as seen from effects group by subject',
    )
    for (const { seen } of rows) expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    await until(async () => (await running.rows('select count(*)::int as n from evt.parked_subjects'))[0]?.n === 0)
    expect(await running.rows('select * from evt.deliveries')).toEqual([])
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
    expect(running.recorder.sample().handlers[0]).toMatchObject({ handled: 200, failed: 40 })
    expect(Math.max(...tries.values())).toBeLessThanOrEqual(4)
  })

  it('that keeps failing leaves one dead letter with every attempt, and its subject goes on', async () => {
    class Broken extends TypeError {}
    const broken = defineHandler({
      name: 'test.broken',
      on: ['thing.*'],
      start: 'earliest',
      retry: quick,
      async handle(event, ctx) {
        if (event.sequence === 1) throw new Broken(`cannot read order 4711`)
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
      },
    })
    const running = await run([broken])
    const [first] = await running.publish(
      ...[1, 2, 3].map((sequence) => ({ type: 'thing.done', subject: 's', sequence, data: { secret: 7 } })),
    )
    await until(async () => (await running.rows('select count(*)::int as n from effects'))[0]?.n === 2)
    const [dead, ...more] = await running.rows('select *, convert_from(body, $1) as text from evt.dead_letters', [
      'UTF8',
    ])
    expect(more).toEqual([])
    expect(dead).toMatchObject({
      event_id: first?.id,
      reason: 'retries-exhausted',
      error_class: 'TypeError',
      text: '{"secret":7}',
      status: 'open',
    })
    expect(dead?.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }])
    await until(async () => (await running.rows('select * from evt.parked_subjects')).length === 0)
  })

  it('that was given up before is no news, until somebody has dealt with it', async () => {
    const said: string[] = []
    const log = { ...silent, error: (message: string) => void said.push(message) }
    const broken = defineHandler({
      name: 'test.broken',
      on: ['thing.*'],
      start: 'earliest',
      retry: { ...quick, attempts: 1 },
      async handle() {
        throw new TypeError('cannot do it')
      },
    })
    const running = await run([broken], { log, topics: ['events', 'more', 'most'] })
    const [event] = await running.publish({ type: 'thing.done' })
    await until(() => said.length === 1)
    const attempts = async () =>
      (await running.rows('select json_array_length(attempts::json) as n from evt.dead_letters')).map(({ n }) => n)
    // It comes again by another way, as in the log after a sink.
    const again = (topic: string) =>
      running.transport.publish(topic, [messageOf(event as EvtEvent)], AbortSignal.timeout(5_000))
    await again('more')
    await until(async () => (await attempts())[0] === 2)
    await running.rows("update evt.dead_letters set status = 'discarded', resolved_at = now()")
    await again('most')
    await until(async () => (await attempts())[0] === 3)
    await until(() => said.length === 2)
    expect(said).toEqual(['an event became a dead letter', 'an event became a dead letter'])
  })
})
