import { afterEach, expect, it, vi } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

afterEach(() => void vi.restoreAllMocks())

const day = 86_400_000

it.each([
  ['ahead', day],
  ['back', -day],
])('a process whose clock jumps a day %s retries when it would have, in order', async (_, jumpMs) => {
  const real = Date.now
  const running = await run([
    defineHandler({
      name: 'test.jumping',
      on: ['thing.*'],
      start: 'earliest',
      timeout: '20s',
      retry: { attempts: 3, initial: '50ms', max: '50ms' },
      async handle(event, ctx) {
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
        if (event.sequence !== 2 || ctx.attempt === 3) return
        // Once between the attempts, and back before the last.
        vi.spyOn(Date, 'now').mockImplementation(() => real() + (ctx.attempt === 1 ? jumpMs : 0))
        throw new Error('not now')
      },
    }),
  ])
  await running.publish(...[1, 2, 3].map((sequence) => ({ type: 'thing.done', subject: 's', sequence })))
  await until(async () => (await running.rows('select from effects')).length === 3, { withinMs: 15_000 })
  expect(await running.rows('select sequence::int from effects order by n')).toEqual(
    [1, 2, 3].map((sequence) => ({ sequence })),
  )
  expect(await running.rows('select from evt.dead_letters')).toEqual([])
})
