import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createHandover, type Handover } from '../handover.ts'
import type { Lane, LaneOptions } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { type Bells, createBells } from './bells.ts'
import type { RedisContext } from './context.ts'
import { translateError } from './errors.ts'
import { foreignLanes } from './foreign.ts'
import { createRedisLane, type RedisLane } from './lane.ts'
import { createGroup, enterLane, readTip, type Tip } from './lane-scripts.ts'
import { untilOurs } from './late-topic.ts'
import { createSeat, type Seat } from './membership.ts'
import { createRedisProblems } from './problems.ts'
import type { Topic } from './topic.ts'

const beatMs = 500
/** How long a settled place may stay in memory. */
const flushMs = 100
/**
 * How often a waiting lane looks by itself while somebody writes who does not ring its bell, and while it hears nothing; else as the URL
 * says.
 */
const mostLookMs = { audible: Number.POSITIVE_INFINITY, unrung: 500, silent: 25 } as const
/** How often it asks how its stream ends, and whether that is still the one that was read. */
const verifyMs = 2_000
/** How long who has not rung is expected to write again. */
const unrungMs = 60_000
const closeMs = 3_000

/** The lanes of all groups of one process over one server or cluster. */
export interface RedisLanes {
  lanes(topics: readonly string[], group: string, options: LaneOptions): AsyncGenerator<Lane>
  /** Releases every lane, within 3 s. */
  close(): Promise<void>
}

export function createLanes(context: RedisContext): RedisLanes {
  const { client } = context.connections
  const problems = createRedisProblems({
    place: context.options.place,
    signal: context.closing,
    onProblem: context.onProblem,
  })
  const owned = new Set<RedisLane>()
  const seats = new Set<Seat>()
  const unwritten = new Set<RedisLane>()
  let bells: Bells | undefined
  let flushTimer: NodeJS.Timeout | undefined
  let beatTimer: NodeJS.Timeout | undefined
  let lookTimer: NodeJS.Timeout | undefined
  let beating: Promise<void> | undefined
  let again = false
  let closed = false
  let verifiedMs = performance.now()
  let unrungTillMs = 0

  async function beatAll(): Promise<void> {
    await Promise.all([...seats].map((seat) => seat.beat()))
    for (const seat of seats) if (seat.ended) seats.delete(seat)
    // What only moved over unwanted messages.
    await Promise.all([...owned].map((lane) => lane.flush()))
  }

  function beatSoon(afterMs: number): void {
    clearTimeout(beatTimer)
    if (closed || seats.size === 0) return
    beatTimer = setTimeout(() => {
      beating ??= beatAll().finally(() => {
        beating = undefined
        beatSoon(again ? 0 : beatMs)
        again = false
      })
    }, afterMs)
  }

  function hurry(): void {
    if (beating === undefined) beatSoon(0)
    else again = true
  }

  function lookLater(): void {
    if (closed || lookTimer !== undefined || owned.size === 0) return
    lookTimer = setTimeout(look, Math.min(context.options.lookMs, mostLookMs[hearing()]))
  }

  function hearing(): keyof typeof mostLookMs {
    if (bells?.audible) return performance.now() < unrungTillMs ? 'unrung' : 'audible'
    // While the server is away, whoever could not read tries again by itself.
    return client.status === 'ready' ? 'silent' : 'unrung'
  }

  function look(): void {
    lookTimer = undefined
    const isTime = performance.now() - verifiedMs >= verifyMs - mostLookMs.silent
    if (isTime) void verify()
    else for (const lane of owned) lane.wake()
    lookLater()
  }

  /** Several groups on one stream ask once. */
  async function verify(): Promise<void> {
    verifiedMs = performance.now()
    const tips = new Map<string, Promise<Tip>>()
    const readTipOnce = (stream: string) => {
      const tip = tips.get(stream) ?? readTip(client, stream)
      tips.set(stream, tip)
      return tip
    }
    const verified = [...owned].map((lane) => lane.verify(readTipOnce))
    for (const one of await Promise.allSettled(verified)) {
      if (one.status === 'rejected') problems.report(one.reason, 0)
      else if (one.value) unrungTillMs = performance.now() + unrungMs
    }
  }

  function onSettled(lane: RedisLane): void {
    unwritten.add(lane)
    flushTimer ??= setTimeout(() => {
      flushTimer = undefined
      const lanes = [...unwritten]
      unwritten.clear()
      for (const one of lanes) void one.flush()
    }, flushMs)
  }

  /** Makes again what was lost of the topic and the group; what is known of lanes in hand is written with their next settle. */
  async function restore(topic: Topic, group: string): Promise<void> {
    await context.topics.restore(topic)
    await createGroup(client, topic.streams, group, 'earliest')
  }

  function join(topic: Topic, group: string, options: LaneOptions, found: Handover<RedisLane>): Seat {
    const wanted = createWanted(options.patterns)
    const mine = new Map<number, RedisLane>()

    async function onClaimed(index: number, epoch: bigint): Promise<void> {
      const stream = topic.streams[index] as string
      await createGroup(client, [stream], group, 'earliest')
      const state = await enterLane(client, stream, group, epoch)
      if (state === undefined) return
      const lane = createRedisLane({
        context,
        topic,
        group,
        index,
        epoch,
        state,
        prefetch: options.prefetch,
        suspects: options.suspects ?? 1,
        wanted,
        problems,
        onSettled,
        onRelease: seat.release,
      })
      bells ??= createBells(context.connections)
      const unlisten = bells.listen(stream, lane.wake)
      mine.set(index, lane)
      owned.add(lane)
      context.trimmer.touch(stream)
      lane.lost.addEventListener('abort', () => {
        unlisten()
        owned.delete(lane)
        unwritten.delete(lane)
        if (mine.get(index) === lane) mine.delete(index)
        hurry()
      })
      lookLater()
      found.offer(lane)
      // Nobody iterates any more: what was claimed meanwhile is for others.
      if (options.signal.aborted || context.closing.aborted) void lane.release()
    }

    const seat = createSeat({
      context,
      topic,
      group,
      session: randomBytes(8).toString('hex'),
      member: options.member,
      problems,
      held: () => [...mine.values()],
      onClaimed,
      onForgotten: () => void restore(topic, group).catch((error: unknown) => problems.report(error, 0)),
      hurry,
    })
    seats.add(seat)
    return seat
  }

  async function* ourLanes(topics: readonly Topic[], group: string, options: LaneOptions): AsyncGenerator<Lane> {
    const signal = AbortSignal.any([options.signal, context.closing])
    const found = createHandover<RedisLane>()
    try {
      await Promise.all(topics.map((topic) => createGroup(client, topic.streams, group, options.start)))
    } catch (error) {
      throw translateError(error, context.options.place, `join ${group}`)
    }
    const joined = topics.map((topic) => join(topic, group, options, found))
    const leave = () => {
      for (const seat of joined) seat.leave()
    }
    if (signal.aborted) leave()
    // At once: what is released while the iteration winds up must not come back to this member.
    signal.addEventListener('abort', leave, { once: true })
    hurry()
    try {
      yield* found.iterate(signal)
    } finally {
      leave()
      await Promise.all(found.left().map((lane) => lane.release()))
    }
  }

  /** As long as it is not ours; whoever asked before it was there gets all of it. */
  async function* foreignUntilOurs(topic: Topic, group: string, options: LaneOptions): AsyncGenerator<Lane> {
    const turned = new AbortController()
    const ending = AbortSignal.any([options.signal, context.closing, turned.signal])
    let ours: Topic | undefined
    const watching = untilOurs(context, topic.name, ending).then((found) => {
      ours = found
      if (found) turned.abort()
    })
    let given: Lane | undefined
    try {
      for await (const lane of foreignLanes(context, topic, group, { ...options, signal: ending })) {
        given = lane
        yield lane
      }
    } finally {
      turned.abort()
      await watching
    }
    if (!ours) return
    // The group has one book of who owns which lane.
    await given?.release()
    yield* ourLanes([ours], group, { ...options, start: 'earliest' })
  }

  return {
    async *lanes(names, group, options) {
      const topics = await Promise.all(names.map(context.topics.find))
      const ours = topics.filter((topic) => topic.ours)
      const iterations = [
        ...(ours.length > 0 ? [ourLanes(ours, group, options)] : []),
        ...topics.filter((topic) => !topic.ours).map((topic) => foreignUntilOurs(topic, group, options)),
      ]
      yield* merge(iterations)
    },
    async close() {
      // A server that does not answer must not hold us: others find our beats standing still.
      await Promise.race([
        (async () => {
          await Promise.all([...owned].map((lane) => lane.release()))
          await Promise.all([...seats].map((seat) => seat.beat()))
        })(),
        delay(closeMs, undefined, { ref: false }),
      ])
      closed = true
      for (const timer of [flushTimer, beatTimer, lookTimer]) clearTimeout(timer)
      for (const lane of owned) lane.lose('the transport was closed')
      bells?.close()
    },
  }
}

/** What each gives, as it comes; ends when all have ended, throws what one throws. */
async function* merge(iterations: readonly AsyncGenerator<Lane>[]): AsyncGenerator<Lane> {
  const [only] = iterations
  if (iterations.length === 1 && only !== undefined) return yield* only
  const next = (iteration: AsyncGenerator<Lane>) => iteration.next().then((result) => ({ iteration, result }))
  const pending = new Map(iterations.map((iteration) => [iteration, next(iteration)]))
  try {
    while (pending.size > 0) {
      const { iteration, result } = await Promise.race(pending.values())
      if (result.done) pending.delete(iteration)
      else {
        pending.set(iteration, next(iteration))
        yield result.value
      }
    }
  } finally {
    await Promise.all([...pending.keys()].map((iteration) => iteration.return(undefined)))
  }
}
