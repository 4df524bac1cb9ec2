import { expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { discardDeadLetters, replayDeadLetters } from '../../src/store/redrive.ts'
import { endReplay, findReplay, listReplays, type Replay } from '../../src/store/replays.ts'
import { createTestDatabase } from '../setup/database.ts'
import { openReplayOf, runOnce, writeHistory } from './history.ts'

/** A replay of 20 events that is done, but for `e7`, which is its dead letter. */
async function doneWithOneDead(more: Pick<HandlerDefinition, 'afterDead'> = {}) {
  const { store } = await createTestDatabase({ max: 12 })
  await store.query('create table effects (id text, handler text, replay text)')
  await writeHistory(store, 20)
  const mended = { yet: false }
  const handler = (name: string): HandlerDefinition => ({
    name,
    on: ['thing.*'],
    retry: { attempts: 1 },
    ...more,
    async handle(event, ctx) {
      if (event.id === 'e7' && name === 'things.count' && !mended.yet) throw new Error('not yet')
      await ctx.sql`insert into effects values (${event.id}, ${name}, ${ctx.replay?.id})`
    },
  })
  const handlers = [handler('things.count'), handler('things.other')]
  const first = await runOnce(store, await openReplayOf(store, handlers, { upto: 20n }), handlers)
  const { rows } = await store.query('select id::text, handler, status from evt.dead_letters')
  expect(rows).toMatchObject([{ handler: 'things.count.replay-r1', status: 'open' }])
  const again = () => replayDeadLetters(store, { ids: [String(rows[0]?.id)], replayId: 'again', by: 'test' })
  const discard = () => discardDeadLetters(store, [String(rows[0]?.id)], 'a test')
  const status = async () => (await store.query('select status from evt.dead_letters')).rows[0]?.status
  const effects = async () => [...(await store.query('select * from effects')).rows]
  return { store, handlers, first, mended, again, discard, status, effects }
}

it('a dead letter of a replay that is over goes to its handler in that replay, which goes on with it alone', async () => {
  const { store, handlers, mended, again, status, effects } = await doneWithOneDead()
  expect(await findReplay(store, 'r1')).toMatchObject({ status: 'done', done: 39 })
  // As it was handled when it happened, which says nothing about the replay.
  await store.query(`insert into evt.inbox (handler, event_id, day) values ('things.count', 'e7', current_date)`)
  await writeHistory(store, 5, 'thing.later')
  mended.yet = true
  expect(await again()).toMatchObject({ replayed: [expect.any(String)] })
  const open = (await findReplay(store, 'r1')) as Replay
  expect(open).toMatchObject({ status: 'paused', endedAt: undefined })
  expect(await runOnce(store, open, handlers)).toMatchObject({ end: 'done' })
  expect(await status()).toBe('replayed')
  expect((await effects()).filter(({ id }) => id === 'e7')).toEqual([
    { id: 'e7', handler: 'things.other', replay: 'r1' },
    { id: 'e7', handler: 'things.count', replay: 'r1' },
  ])
  expect(await effects()).toHaveLength(40)
  expect(await listReplays(store, 5)).toMatchObject([{ status: 'done', done: 40 }])
  expect((await store.query('select who from evt.needs')).rows).toEqual([])
})

it('a replay that ends before such a dead letter had its turn leaves it open', async () => {
  const { store, again, status } = await doneWithOneDead()
  await again()
  expect(await status()).toBe('replaying')
  await endReplay(store, (await findReplay(store, 'r1')) as Replay, { status: 'stopped', done: 39 })
  expect(await status()).toBe('open')
  expect((await store.query('select from evt.deliveries')).rows).toEqual([])
})

it.each(['replayed', 'discarded'])(
  'a replay in which something waits behind a dead letter is not done: it rests, and goes on when that is %s',
  async (how) => {
    const { store, handlers, first, mended, again, discard, effects } = await doneWithOneDead({ afterDead: 'block' })
    const outcome = [
      { handler: 'things.count', handled: 18, dead: 1, retrying: 0, waiting: 1 },
      { handler: 'things.other', handled: 20, waiting: 0 },
    ]
    expect(first).toMatchObject({ end: 'paused', handlers: outcome })
    const open = async () => (await findReplay(store, 'r1')) as Replay
    expect(await open()).toMatchObject({ status: 'paused', endedAt: undefined })
    // Nothing was mended meanwhile.
    expect(await runOnce(store, await open(), handlers)).toMatchObject({ end: 'paused', handlers: outcome })
    mended.yet = true
    await (how === 'replayed' ? again : discard)()
    expect(await runOnce(store, await open(), handlers)).toMatchObject({ end: 'done' })
    const own = (await effects()).filter(({ handler }) => handler === 'things.count').map(({ id }) => id)
    const last = how === 'replayed' ? ['e7', 'e17'] : ['e17']
    expect(own.slice(-last.length)).toEqual(last)
    expect(own).toHaveLength(18 + last.length)
    expect(await open()).toMatchObject({ status: 'done', done: 38 + last.length })
  },
)
