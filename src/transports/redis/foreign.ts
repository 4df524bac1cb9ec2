import { randomBytes } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { createHandover } from '../handover.ts'
import type { Problems } from '../problems.ts'
import type { Lane, LaneOptions } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import type { RedisContext } from './context.ts'
import { explainWrongType, isReply } from './errors.ts'
import { createForeignGroup, type Fence, openForeignGroup } from './foreign-group.ts'
import { createForeignLane, type ForeignLane } from './foreign-lane.ts'
import { createSeat } from './membership.ts'
import { createRedisProblems } from './problems.ts'
import { membersKey, type Topic } from './topic.ts'

export interface ForeignTiming {
  /** What another consumer got and has not touched for so long is taken over. */
  readonly idleMs: number
  /** How often what is in hand is touched. */
  readonly touchMs: number
}

const defaultTiming: ForeignTiming = { idleMs: 60_000, touchMs: 10_000 }
const beatMs = 500

/** By transport: what its close has to wait for. */
const open = new WeakMap<RedisContext, Set<() => Promise<unknown>>>()

/** Gives back every lane of streams that are not ours; for the transport's close, before its connections end. */
export async function closeForeignLanes(context: RedisContext): Promise<void> {
  await Promise.all([...(open.get(context) ?? [])].map((close) => close()))
}

/**
 * The one lane of a stream that is not ours, through a plain group. Of evt's members one owns it at a time, as consumer `<group>-1`, so that
 * its order holds; where this user may not keep the lease beside the stream, each member reads under its own name, and shares without order.
 */
export async function* foreignLanes(
  context: RedisContext,
  topic: Topic,
  group: string,
  options: LaneOptions,
  timing: ForeignTiming = defaultTiming,
): AsyncGenerator<Lane> {
  const { connections, closing } = context
  const { place } = context.options
  const stream = topic.streams[0] ?? topic.name
  const signal = AbortSignal.any([options.signal, closing])
  const session = randomBytes(8).toString('hex')
  const bell = createDoorbell()
  const found = createHandover<ForeignLane>()
  const held = new Set<ForeignLane>()
  const problems = createRedisProblems({ place, signal: closing, onProblem: context.onProblem })
  const wanted = createWanted(options.patterns)
  let shared = false

  try {
    await createForeignGroup(context, stream, group, options.start === 'latest' ? '$' : '0')
  } catch (error) {
    throw await explainWrongType(error, place, stream, (key) => connections.client.type(key))
  }

  function take(epoch: bigint, consumer: string, fence: Fence | undefined): void {
    const lane = createForeignLane({
      topic: topic.name,
      stream,
      name: group,
      group: openForeignGroup(context, stream, group, consumer, fence),
      consumer,
      epoch,
      prefetch: options.prefetch,
      wanted,
      idleMs: timing.idleMs,
      problems,
      onProblem: (error) => context.onProblem?.(error),
      onRelease: (one, write) =>
        fence === undefined ? write().catch((error) => void problems.report(error, 0)) : seat.release(one, write),
    })
    held.add(lane)
    const touching = setInterval(() => void lane.beat(), timing.touchMs).unref()
    lane.lost.addEventListener('abort', () => {
      clearInterval(touching)
      held.delete(lane)
      bell.ring()
    })
    found.offer(lane)
  }

  /** A user who may read the stream, and not write beside it, shares as any consumer does. */
  const noticing: Problems = {
    report(thrown, outageMs) {
      if (!isReply(thrown, 'NOPERM') || held.size > 0) return problems.report(thrown, outageMs)
      shared = true
      problems.report(unleased(stream, group), 0)
      if (!signal.aborted) take(BigInt(Date.now()), options.member, undefined)
      return outageMs
    },
  }

  const seat = createSeat({
    context,
    topic: { ...topic, streams: [stream] },
    group,
    session,
    member: options.member,
    problems: noticing,
    held: () => [...held],
    async onClaimed(_, epoch) {
      const fence = { key: membersKey(topic.name, group), lease: `${epoch} ${session}` }
      take(epoch, `${group}-1`, fence)
    },
    // The lane finds out itself that its group is gone.
    onForgotten: () => {},
    hurry: bell.ring,
  })

  async function beat(): Promise<void> {
    while (!seat.ended && !shared && !(closing.aborted && held.size === 0)) {
      await seat.beat()
      await bell.wait(AbortSignal.timeout(beatMs))
    }
    if (!seat.ended && !shared) await seat.beat()
  }

  signal.addEventListener('abort', seat.leave, { once: true })
  const beating = beat()
  const closers = open.get(context) ?? new Set()
  open.set(context, closers)
  const close = () => Promise.all([...held].map((lane) => lane.release())).then(() => beating)
  closers.add(close)
  void beating.then(() => held.size === 0 && closers.delete(close))
  try {
    yield* found.iterate(signal)
  } finally {
    seat.leave()
    await Promise.all(found.left().map((lane) => lane.release()))
  }
}

function unleased(stream: string, group: string): EvtError {
  return new EvtError(
    'unsupported',
    `cannot keep the order of ${stream} among several members of ${group}: no lease may be written`,
    {
      hint: `grant it on the server: ACL SETUSER … ~{${stream}}:evt:* +@scripting +@hash`,
    },
  )
}
