import { expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

const quick = { subjects: 5, window: '1m', probe: '200ms' } as const

/** A handler whose downstream is there or not. */
function downstream(more: object = {}) {
  const state = { isDown: false, calls: 0, poison: new Set<string>() }
  const handler = defineHandler({
    name: 'test.mailer',
    on: ['thing.*'],
    start: 'earliest',
    retry: { attempts: 4, initial: '200ms', max: '200ms' },
    breaker: quick,
    ...more,
    async handle(event, ctx) {
      state.calls += 1
      if (state.isDown) throw new Error('the mail server does not answer')
      if (state.poison.has(event.subject ?? '')) throw new Error('poison')
      await ctx.sql`insert into effects (handler, id, subject) values ('mailer', ${event.id}, ${event.subject})`
    },
  })
  return { state, handler }
}

const things = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ type: 'thing.made', subject: `s/${from + n}` }))

it('a broken downstream stops the handler in both processes, kills nothing, spends nothing, and both go on when it is back', async () => {
  const { state, handler } = downstream()
  const running = await run([handler])
  const other = await running.another([handler])
  const handled = async () => Number((await running.rows('select count(*) as n from effects'))[0]?.n)
  await running.publish(...things(0, 20))
  await until(async () => (await handled()) === 20)
  state.isDown = true
  await running.publish(...things(100, 60))
  const broken = () => running.recorder.sample().handlers.map((one) => one.broken)
  await until(() => broken().every(Boolean))
  expect(broken()).toHaveLength(2)
  const row = await until(async () => (await running.rows('select state, error, trips from evt.breakers'))[0])
  expect(row).toMatchObject({ state: 'open', error: 'Error: the mail server does not answer', trips: '1' })
  const before = state.calls
  // More attempts than any event has would have been made by now.
  await until(() => state.calls > before + 6)
  expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  state.isDown = false
  await until(async () => (await handled()) === 80)
  await until(() => broken().every((open) => !open))
  expect(await running.rows('select state from evt.breakers')).toEqual([{ state: 'closed' }])
  expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  expect(await running.rows('select * from evt.deliveries')).toEqual([])
  await other.stop()
})

it('dead letters that are handed over together and die again stop nothing that is live', async () => {
  const { state, handler } = downstream({ retry: { attempts: 2, initial: '10ms', max: '20ms' }, breaker: false })
  for (let n = 0; n < 8; n++) state.poison.add(`s/${n}`)
  const running = await run([handler])
  await running.publish(...things(0, 8))
  const open = () => running.rows(`select id from evt.dead_letters where status = 'open'`)
  const letters = await until(async () => ((await open()).length === 8 ? open() : undefined))
  await running.subscribers.stop({ graceMs: 2_000 })
  await running.another([{ ...handler, breaker: { ...quick, probe: '1m' } }])
  const ids = letters.map(({ id }) => String(id))
  await replayDeadLetters(running.store, { ids, replayId: '6f9e7c1a-0000-4000-8000-000000000001', by: 'test' })
  const settled = () => replayOutcome(running.store, '6f9e7c1a-0000-4000-8000-000000000001')
  await until(async () => (await settled()).deadAgain.reduce((sum, { count }) => sum + count, 0) === 8)
  expect(await running.rows('select * from evt.breakers')).toEqual([])
})

it('one poison subject, however hot, opens nothing: it dies and others flow', async () => {
  const { state, handler } = downstream({ retry: { attempts: 2, initial: '10ms', max: '20ms' } })
  state.poison.add('s/hot')
  const running = await run([handler])
  const hot = Array.from({ length: 15 }, () => ({ type: 'thing.made', subject: 's/hot' }))
  await running.publish(...hot, ...things(0, 4))
  await until(async () => (await running.rows('select 1 from evt.dead_letters')).length === 15)
  await until(async () => (await running.rows('select 1 from effects')).length === 4)
  expect(await running.rows('select * from evt.breakers')).toEqual([])
})

it('a burst of poison over many subjects opens it for a moment only: what comes behind does not wait for all of them', async () => {
  const retry = { attempts: 50, initial: '50ms', max: '100ms' }
  const { state, handler } = downstream({ retry, breaker: { ...quick, probe: '300ms' } })
  for (let n = 0; n < 60; n++) state.poison.add(`s/${n}`)
  const running = await run([handler])
  await running.publish(...things(0, 60))
  await until(async () => (await running.rows(`select 1 from evt.breakers where state = 'open'`)).length === 1)
  await running.publish(...things(100, 300))
  // Two of a round are tried in vain: one after the other they would take nine seconds.
  await until(async () => (await running.rows('select 1 from effects')).length === 300, { withinMs: 7_500 })
})

it('a bridge that starts while a breaker is open waits, probes, and closes it; one poison does not keep it open', async () => {
  const { state, handler } = downstream({ retry: { attempts: 12, initial: '100ms', max: '100ms' } })
  state.isDown = true
  const running = await run([handler])
  await running.publish(...things(0, 8))
  await until(async () => (await running.rows(`select 1 from evt.breakers where state = 'open'`)).length === 1)
  await running.subscribers.stop()
  state.isDown = false
  state.poison.add('s/0')
  const second = await running.another([handler])
  await until(async () => (await running.rows('select 1 from effects')).length === 7, { withinMs: 15_000 })
  await until(async () => (await running.rows(`select 1 from evt.dead_letters where subject = 's/0'`)).length === 1, {
    withinMs: 15_000,
  })
  await second.stop()
})

it('breaker: false lets everything fail as before', async () => {
  const { state, handler } = downstream({ breaker: false, retry: { attempts: 2, initial: '10ms', max: '20ms' } })
  state.isDown = true
  const running = await run([handler])
  await running.publish(...things(0, 12))
  await until(async () => (await running.rows('select 1 from evt.dead_letters')).length === 12)
  expect(await running.rows('select * from evt.breakers')).toEqual([])
})
