import { expect, it } from 'vitest'
import { z } from 'zod'
import { createRegistry, defineEvent, defineSaga } from '../../src/index.ts'
import type { SagaContext } from '../../src/sagas/saga.ts'
import { createTestDatabase } from '../setup/database.ts'
import { dataOf, publish, startBridge, untilSaga } from './running.ts'

const shape = z.object({ n: z.number() })
const began = defineEvent('note.began', { 1: shape })
const said = defineEvent('note.said', { 1: shape })

it('what a saga publishes is checked at the call, and written in order with the code that returned, and no other', async () => {
  const { store, url } = await createTestDatabase()
  let left: SagaContext | undefined
  let refusal: unknown
  let tries = 0
  const say = (ctx: SagaContext, n: unknown) => ctx.publish({ type: 'note.said', data: { n } })
  const saga = defineSaga({
    name: 'notes.all',
    startsOn: began,
    state: shape,
    start: 'earliest',
    steps: ({ step }) => [
      step('say', {
        retry: { initial: '1ms', max: '1ms' },
        async run(_state, ctx) {
          tries += 1
          // Nobody waits for the first.
          void say(ctx, 1)
          await say(ctx, 'two').catch((error: unknown) => {
            refusal = error
          })
          await ctx.sql`select 1`
          expect(await say(ctx, 3)).toMatch(/^[0-9a-f-]{36}$/)
          if (tries === 1) throw new TypeError('not this time')
          left = ctx
        },
      }),
    ],
    onCompleted: (_state, ctx) => say(ctx, 4),
  })
  await startBridge(url, { registry: createRegistry([began, said]), sagas: [saga] })
  const id = await publish(store, 'note.began', { n: 0 }, { subject: 'note/1' })
  await untilSaga(store, 'notes.all', 'note/1', 'completed')
  expect(await dataOf(store, 'note.said')).toEqual([{ n: 1 }, { n: 3 }, { n: 4 }])
  expect(refusal).toMatchObject({ code: 'contract' })
  await expect(left && say(left, 5)).rejects.toMatchObject({ code: 'fenced' })
  const { rows } = await store.query(
    `select distinct causation_id, correlation_id from evt.outbox where type = 'note.said'`,
  )
  expect(rows.map(({ correlation_id }) => correlation_id)).toEqual([id])
})
