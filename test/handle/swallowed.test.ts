import { expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

/** The server's word that a transaction has failed may come after its error: in one of many, only so many show it. */
const events = 150

it('an SQL error that a handler swallows is what its event dies of, however late the server says that nothing can be committed', async () => {
  const handler = defineHandler({
    name: 'test.swallowing',
    on: ['thing.*'],
    start: 'earliest',
    concurrency: 8,
    breaker: false,
    retry: { attempts: 1 },
    async handle(_, ctx) {
      await ctx.sql`select 1/0`.catch(() => {})
    },
  })
  const running = await run([handler])
  await running.publish(...Array.from({ length: events }, (_, n) => ({ type: 'thing.done', subject: `s${n}` })))
  const codes = () => running.rows('select error_code, count(*)::int as n from evt.dead_letters group by 1')
  await until(async () => (await codes()).reduce((sum, { n }) => sum + Number(n), 0) === events, { withinMs: 20_000 })
  expect(await codes()).toEqual([{ error_code: '22012', n: events }])
})

it('an error that the handler goes back from to a savepoint of its own costs nothing', async () => {
  const handler = defineHandler({
    name: 'test.saving',
    on: ['thing.*'],
    start: 'earliest',
    async handle(event, ctx) {
      await ctx.sql.query('savepoint own')
      await ctx.sql`select 1/0`.catch(() => ctx.sql.query('rollback to savepoint own'))
      await ctx.sql`insert into effects (id) values (${event.id})`
    },
  })
  const running = await run([handler])
  await running.publish(...Array.from({ length: 20 }, (_, n) => ({ type: 'thing.done', subject: `s${n}` })))
  await until(async () => (await running.rows('select 1 from effects')).length === 20)
  expect(await running.rows('select * from evt.dead_letters')).toEqual([])
})
