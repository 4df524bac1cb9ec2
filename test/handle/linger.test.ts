import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import type { HandlerContext } from '../../src/handle/handler.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

const oneByOne = async (publish: (n: number) => Promise<unknown>): Promise<void> => {
  for (let n = 0; n < 20; n++) {
    await publish(n)
    await delay(5)
  }
}

it('events that come one by one share a transaction with a handler that lingers, and the first waits no longer than that', async () => {
  const { publish, rows } = await run([
    {
      name: 'test.lingering',
      on: ['thing.*'],
      linger: '1s',
      async handle({ id }: EvtEvent, { sql }: HandlerContext) {
        await sql`insert into effects (handler, id) values (pg_current_xact_id()::text, ${id})`
      },
    },
  ])
  await oneByOne((n) => publish({ type: 'thing.done', subject: `s${n}` }))
  const handled = 'select count(*)::int as events, count(distinct handler)::int as transactions from effects'
  await until(async () => (await rows(handled))[0]?.events === 20)
  // On a machine that is busy the second of waiting may end among them.
  expect((await rows(handled))[0]?.transactions).toBeLessThanOrEqual(3)
})

it('it does not wait when there are as many as it takes, nor for an end', async () => {
  const { publish, rows, subscribers } = await run([
    {
      name: 'test.lingering',
      on: ['thing.*'],
      linger: '10s',
      takes: 5,
      async handle({ id }: EvtEvent, { sql }: HandlerContext) {
        await sql`insert into effects (id) values (${id})`
      },
    },
  ])
  await publish(...Array.from({ length: 12 }, (_, n) => ({ type: 'thing.done', subject: `s${n}` })))
  await until(async () => Number((await rows('select count(*)::int as n from effects'))[0]?.n) >= 10, {
    withinMs: 9_000,
  })
  const began = performance.now()
  await subscribers.stop({ graceMs: 2_000 })
  expect(performance.now() - began).toBeLessThan(5_000)
})
