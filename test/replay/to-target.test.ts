import { expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { compileSelection } from '../../src/replay/history.ts'
import { replayToTarget, type TargetEnd } from '../../src/replay/to-target.ts'
import { createLogReader } from '../../src/store/log.ts'
import { createReplay, findReplay, type Replay, takeReplay } from '../../src/store/replays.ts'
import type { Message, Published, Transport } from '../../src/transports/transport.ts'
import { createTestDatabase } from '../setup/database.ts'
import { writeHistory } from './history.ts'

type Answer = (message: Message, call: number) => Published

/** Replays `e1` … `e30` of ten subjects to a broker that answers so; what it has in the end, by subject. */
async function replayedTo(publish: (batch: readonly Message[], call: number) => readonly Published[]) {
  const { store } = await createTestDatabase()
  await writeHistory(store, 30)
  const selection = { types: [], nowMs: 0 }
  await createReplay(store, {
    ...{ id: 'r', kind: 'target', handlers: [], target: 't', selection, after: 0n, upto: 30n, matched: 30, by: 'test' },
  })
  const lease = await takeReplay(store, 'r', 'test')
  if (!lease) throw new Error('somebody else runs it')
  const reader = createLogReader(store)
  const stored = new Map<string, string[]>()
  let call = 0
  const transport = {
    async publish(_topic: string, batch: readonly Message[]) {
      call += 1
      const results = publish(batch, call)
      for (const [at, { id, key }] of batch.entries())
        if (results[at]?.state === 'stored') stored.set(key ?? '', [...(stored.get(key ?? '') ?? []), id])
      return results
    },
  } as unknown as Transport
  try {
    const end: TargetEnd = await replayToTarget({
      ...{ store, reader, lease, transport, topicOf: () => 't', wants: compileSelection(selection) },
      replay: (await findReplay(store, 'r')) as Replay,
      messageOf: ({ id, subject, headers }) => ({ id, key: subject, headers, body: Buffer.alloc(0) }),
      signal: new AbortController().signal,
      onProgress: () => {},
    })
    return { end, stored, calls: call }
  } finally {
    await reader.close()
  }
}

it('from the first event on of which nobody knows, all of its subject is sent again', async () => {
  const answer: Answer = ({ id }, call) =>
    call === 1 && id === 'e13' ? { state: 'unknown', error: new EvtError('connect', 'gone') } : { state: 'stored' }
  const { end, stored } = await replayedTo((batch, call) => batch.map((message) => answer(message, call)))
  expect(end).toMatchObject({ end: 'done', asked: 30, confirmed: 30, refused: 0 })
  expect(stored.get('s/3')).toEqual(['e3', 'e23', 'e13', 'e23'])
  expect(stored.get('s/4')).toEqual(['e4', 'e14', 'e24'])
})

it('what a broker refuses because of one event before it is sent again without that one', async () => {
  const error = new EvtError('too-large', 'cannot publish e13: too large')
  const { end, stored, calls } = await replayedTo((batch) => {
    const at = batch.findIndex(({ id }) => id === 'e13')
    return batch.map((_, n) => (at >= 0 && n >= at ? { state: 'refused', error } : { state: 'stored' }))
  })
  expect(end).toMatchObject({ end: 'done', asked: 30, confirmed: 29, refused: 1, why: error })
  expect(stored.get('s/3')).toEqual(['e3', 'e23'])
  expect(stored.get('s/4')).toEqual(['e4', 'e14', 'e24'])
  expect(calls).toBeLessThan(15)
})

it('what a broker refuses for reasons of its own is not passed over', async () => {
  const error = new EvtError('refused', 'cannot publish: it is a replica')
  const { end } = await replayedTo((batch, call) =>
    batch.map(() => (call < 2 ? { state: 'refused', error } : { state: 'stored' })),
  )
  expect(end).toMatchObject({ end: 'done', confirmed: 30, refused: 0 })
})
