import { setTimeout as delay } from 'node:timers/promises'
import { placeOf, type Store } from '../../store/connection.ts'
import type { LogReader } from '../../store/log.ts'
import { createHandover } from '../handover.ts'
import type { Lane, LaneOptions, TransportOptions } from '../transport.ts'
import { type Feed, openFeed } from './feed.ts'
import { createLocalGroup, type LocalGroup } from './group.ts'
import { createLogLane, type LogLane } from './lane.ts'
import type { ClaimedLane } from './lane-sql.ts'
import { createMembership } from './membership.ts'
import { createLogProblems } from './problems.ts'
import { createLaneWriter } from './writer.ts'

/** How long a settled position may stay in memory; one that only moved over unwanted events waits for the second beat. */
const flushMs = 100
const closeMs = 3_000

/** The lanes of all groups of one process over one database. */
export interface LogLanes {
  /** Lanes that this process owns now. */
  readonly owned: ReadonlySet<LogLane>
  lanes(group: string, options: LaneOptions): AsyncGenerator<Lane>
  /** Releases every lane. */
  close(): Promise<void>
}

export async function openLogLanes(
  store: Store,
  reader: LogReader,
  { onProblem }: TransportOptions,
): Promise<LogLanes> {
  const closing = new AbortController()
  const problems = createLogProblems({ place: placeOf(store.connectionString), signal: closing.signal, onProblem })
  const feed: Feed = await openFeed(reader, problems)
  const writer = createLaneWriter(store.connectionString, problems)
  const owned = new Set<LogLane>()
  const written = new WeakMap<LogLane, bigint>()
  /** Settled, and not durable yet. */
  const unwritten = new Set<LogLane>()
  let flushTimer: NodeJS.Timeout | undefined
  let beats = 0
  const membership = createMembership({
    connectionString: store.connectionString,
    problems,
    onClaimed,
    onBeat,
    tip: () => feed.tip,
    onGoneBack: feed.goBack,
  })

  function onBeat(): void {
    beats++
    if (beats % 2 === 0) void flush(owned)
  }

  async function flush(lanes: ReadonlySet<LogLane>): Promise<void> {
    const moved = [...lanes]
      .filter((lane) => owned.has(lane))
      .map((lane) => ({ lane, position: lane.progress() }))
      .filter(({ lane, position }) => position > (written.get(lane) ?? 0n))
    unwritten.clear()
    if (moved.length === 0) return
    // What could not be written now is written by a later flush, or at release.
    const ok = await writer.flush(moved).catch((error: unknown) => {
      problems.report(error, flushMs)
      return []
    })
    for (const [i, { lane, position }] of moved.entries()) if (ok[i]) written.set(lane, position)
  }

  function onSettled(lane: LogLane, position: bigint | undefined): void {
    if (position !== undefined) return void written.set(lane, position)
    unwritten.add(lane)
    flushTimer ??= setTimeout(() => {
      flushTimer = undefined
      void flush(unwritten)
    }, flushMs)
  }

  function onClaimed(group: LocalGroup, claimed: ClaimedLane): void {
    const lane = createLogLane({
      group: group.name,
      claimed,
      lanes: group.laneCount,
      prefetch: group.prefetch,
      suspects: group.suspects,
      wanted: group.wanted,
      feed,
      problems,
      markStarted: writer.mark,
      onSettled,
      onRelease: membership.release,
    })
    owned.add(lane)
    written.set(lane, claimed.position)
    lane.lost.addEventListener('abort', () => {
      owned.delete(lane)
      group.remove(lane)
      membership.hurry()
    })
    group.add(lane)
  }

  async function join(name: string, options: LaneOptions, onLane: (lane: LogLane) => void): Promise<LocalGroup> {
    const start = options.start === 'latest' ? await reader.head() : await reader.start()
    const { rows } = await store.query('select evt.ensure_group($1, $2, $3) as lanes', [
      name,
      options.lanes,
      String(start),
    ])
    const group = createLocalGroup(name, Number(rows[0]?.lanes), options, onLane)
    feed.followers.add(group)
    membership.join(group, options.member)
    return group
  }

  async function* lanes(name: string, options: LaneOptions): AsyncGenerator<Lane> {
    const signal = AbortSignal.any([options.signal, closing.signal])
    const found = createHandover<LogLane>()
    const group = await join(name, options, found.offer)
    const leave = () => group.leave()
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    try {
      yield* found.iterate(signal)
    } finally {
      leave()
      membership.hurry()
      await Promise.all(found.left().map((lane) => lane.release()))
    }
  }

  return {
    owned,
    lanes,
    async close() {
      closing.abort()
      clearTimeout(flushTimer)
      // A server that does not answer must not hold us: it finds our connection gone.
      await Promise.race([
        Promise.all([...owned].map((lane) => lane.release())),
        delay(closeMs, undefined, { ref: false }),
      ])
      await membership.close()
      for (const lane of owned) lane.lose('the transport was closed')
      await Promise.all([feed.close(), writer.close()])
    },
  }
}
