import { createRegistry } from '../../src/core/registry.ts'
import type { AnyHandlerDefinition } from '../../src/handle/handler.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import { compileSelection } from '../../src/replay/history.ts'
import { type HandlersEnd, type HandlersRun, replayToHandlers } from '../../src/replay/to-handlers.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import {
  createReplay,
  endReplay,
  findReplay,
  leaveReplay,
  type Replay,
  type ReplaySelection,
  takeReplay,
} from '../../src/store/replays.ts'
import { createRecorder } from '../../src/watch/recorder.ts'
import { silent } from '../handle/running.ts'
import { sequenceAll } from '../store/sequencer-writers.ts'

/** So many events `thing.happened` of ten subjects, sequenced. */
export async function writeHistory(store: Store, events: number, type = 'thing.happened'): Promise<void> {
  await store.query(
    `insert into evt.outbox (id, type, source, subject, data, correlation_id, class)
     select case when $2 = 'thing.happened' then 'e' else $2 end || n, $2, 'test', 's/' || n % 10, json_build_object('n', n), 'c' || n % 4, 'default' from generate_series(1, $1::int) n`,
    [events, type],
  )
  await sequence(store)
}

export async function sequence(store: Store): Promise<void> {
  await store.query('update evt.relay set leader = null')
  const lease = (await acquireLease(store, 'test', 60_000)) as Lease
  await sequenceAll(store, lease.epoch, 5_000)
}

export async function openReplayOf(
  store: Store,
  handlers: readonly AnyHandlerDefinition[],
  more: { readonly id?: string; readonly after?: bigint; readonly upto: bigint } & Partial<ReplaySelection>,
): Promise<Replay> {
  const { id = 'r1', after = 0n, upto, types = [], ...rest } = more
  const selection = { types, nowMs: Date.now(), ...rest }
  const names = handlers.map(({ name }) => name)
  await createReplay(store, { id, kind: 'handlers', handlers: names, selection, after, upto, matched: 1, by: 'test' })
  return (await findReplay(store, id)) as Replay
}

/** One run of it, as `evt replay` makes it. */
export async function runOnce(
  store: Store,
  replay: Replay,
  handlers: readonly AnyHandlerDefinition[],
  more: Partial<HandlersRun> = {},
): Promise<HandlersEnd> {
  const lease = await takeReplay(store, replay.id, 'test')
  if (!lease) throw new Error('somebody else runs it')
  const registry = createRegistry([])
  const publisher = createStorePublisher({ store, registry, source: 'test' })
  const result = await replayToHandlers({
    store,
    replay,
    lease,
    handlers,
    wants: compileSelection(replay.selection),
    registry,
    recorder: createRecorder(),
    log: silent,
    instance: `test-${replay.id}`,
    connections: 4,
    signal: new AbortController().signal,
    publish: (sql, events) => publisher.publish(sql, events),
    onProgress: () => {},
    ...more,
  })
  if (result.end === 'done' || result.end === 'stopped') {
    const done = result.handlers.reduce((sum, { handled }) => sum + handled, result.before)
    await endReplay(store, replay, { status: result.end, done })
  } else await leaveReplay(store, lease)
  return result
}
