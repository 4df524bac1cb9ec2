import { typeIn } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import type { Problems } from '../problems.ts'
import type { Lane, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createAbandoned } from './abandoned.ts'
import { firstId } from './entry-id.ts'
import { isOutage, isReply } from './errors.ts'
import type { ForeignGroup, Pending } from './foreign-group.ts'
import type { HeldLane } from './membership.ts'
import type { StoredEntry } from './pages.ts'
import { toReceived } from './received.ts'

const flushMs = 20
const mostAtOnce = 500
const outageMs = 250
/** Of what is handed out one by one, so many are fetched at once. */
const mostAlone = 32

export interface ForeignLane extends Lane, HeldLane {
  /** So that nobody takes for abandoned what a slow handler has, and what could not be acknowledged is. Never throws. */
  beat(): Promise<void>
}

export interface ForeignLaneInit {
  readonly topic: string
  readonly stream: string
  readonly name: string
  readonly group: ForeignGroup
  readonly consumer: string
  readonly epoch: bigint
  readonly prefetch: number
  readonly wanted: Wanted
  /** Others' deliveries are taken over when they were not touched for so long. */
  readonly idleMs: number
  readonly problems: Problems
  onProblem(error: Error): void
  /** Gives the lease back after `write`. */
  onRelease(lane: ForeignLane, write: () => Promise<void>): Promise<void>
}

/** One stream of somebody else's, read by one consumer of a plain group: what was pending first, then what is new. */
export function createForeignLane(init: ForeignLaneInit): ForeignLane {
  const { epoch, group, problems, stream, topic } = init
  const lost = new AbortController()
  const bell = createDoorbell()
  const abandoned = createAbandoned(group, init.consumer, init.idleMs)
  /** Handed out and not settled, by id: how often each was delivered. */
  const out = new Map<string, number>()
  const ready: Received[] = []
  /** What is in `ready` was claimed: that is no delivery yet. */
  let uncounted = false
  let acks: string[] = []
  let lastRead = firstId
  let stepping: Promise<void> | undefined
  let releasing: Promise<void> | undefined
  let flushing: NodeJS.Timeout | undefined
  let draining: NodeJS.Timeout | undefined
  let stopped = false

  const inHand = () => new Set([...out.keys(), ...ready.map(({ at }) => at), ...acks])
  /** What a dead owner may have started is out: nothing else goes out beside it. */
  const aloneIsOut = () => out.size === 1 && [...out.values()].some((deliveries) => deliveries > 1)
  /** The next one comes alone, when everything else is settled. */
  const isNextAlone = () => out.size > 0 && (abandoned.found[0]?.deliveries ?? 0) > 0
  const mayGet = () =>
    ready.length === 0 && out.size < init.prefetch && draining === undefined && !aloneIsOut() && !isNextAlone()
  const isWanted = ({ headers }: Received) => headers['ce-type'] === undefined || init.wanted(typeIn(headers))

  function keep(entries: readonly StoredEntry[], deliveries: number): void {
    for (const entry of entries) {
      const received = toReceived(topic, stream, entry, deliveries)
      if (isWanted(received)) ready.push(received)
      else acknowledgeSoon([received.at])
    }
  }

  async function claimNext(room: number): Promise<void> {
    const [first] = abandoned.found
    if (first === undefined) return
    const isLike = ({ consumer, deliveries }: Pending) => consumer === first.consumer && deliveries === first.deliveries
    const other = abandoned.found.findIndex((one) => !isLike(one))
    const same = other < 0 ? abandoned.found.length : other
    const some = abandoned.found.splice(0, Math.min(first.deliveries > 0 ? mostAlone : room, same))
    const ids = some.map(({ id }) => id)
    // It counts as a delivery when it is handed out.
    const idleMs = first.consumer === init.consumer ? 0 : init.idleMs
    const { entries, deleted } = await group.claim(ids, first.deliveries, idleMs)
    keep(entries, first.deliveries + 1)
    if (deleted > 0) init.onProblem(deletedEntries(stream, deleted))
  }

  /** Gets what comes next into `ready`. */
  async function step(max: number): Promise<void> {
    await abandoned.look(inHand)
    const room = Math.min(max, init.prefetch - out.size)
    uncounted = abandoned.found.length > 0
    if (uncounted) return isNextAlone() ? undefined : claimNext(room)
    const entries = await group.read(room)
    lastRead = entries.at(-1)?.[0].toString() ?? lastRead
    keep(entries, 1)
  }

  async function survive(error: unknown): Promise<void> {
    const failure = isReply(error, 'NOGROUP') ? await restore() : error
    if (failure === undefined) return
    const waitMs = problems.report(failure, outageMs)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
  }

  async function restore(): Promise<unknown> {
    try {
      await group.restore(lastRead)
      init.onProblem(restoredGroup(stream, init.name))
      return undefined
    } catch (error) {
      return error
    }
  }

  function stepOn(max: number): void {
    stepping ??= step(max)
      .catch(survive)
      .finally(() => {
        stepping = undefined
        bell.ring()
      })
  }

  /** On its way before anybody can start it; a crash in between leaves a count that is too low by one. */
  function count(batch: readonly Received[]): void {
    const [first] = batch
    const ids = batch.map(({ at }) => at)
    if (first !== undefined)
      group.setDeliveries(ids, first.deliveries, 0).catch((error: unknown) => void problems.report(error, 0))
  }

  function handOut(max: number): readonly Received[] {
    const first = ready[0]
    if (first === undefined || stopped || draining !== undefined || aloneIsOut()) return []
    const alone = first.deliveries > 1
    if (alone && out.size > 0) return []
    const batch = ready.splice(0, alone ? 1 : Math.min(max, init.prefetch - out.size))
    for (const { at, deliveries } of batch) out.set(at, deliveries)
    if (uncounted) count(batch)
    return batch
  }

  function acknowledgeSoon(ids: readonly string[]): void {
    acks.push(...ids)
    if (acks.length >= mostAtOnce) void flushQuietly()
    else flushing ??= setTimeout(() => void flushQuietly(), flushMs)
  }

  async function flush(): Promise<void> {
    clearTimeout(flushing)
    flushing = undefined
    while (acks.length > 0 && !lost.signal.aborted) {
      const some = acks.slice(0, mostAtOnce)
      acks = acks.slice(mostAtOnce)
      try {
        if (!(await group.acknowledge(some))) lose('another member owns it')
      } catch (error) {
        acks.push(...some)
        throw error
      }
    }
  }

  const flushQuietly = () => flush().catch((error: unknown) => void problems.report(error, 0))

  /** What was not handed out, and what is not finished: for the next owner, as never started. */
  async function giveBack(): Promise<void> {
    await flush()
    const left = [...out, ...ready.map(({ at, deliveries }) => [at, deliveries] as const)]
    for (const [deliveries, ids] of Map.groupBy(left, ([, count]) => count))
      await group.setDeliveries(
        ids.map(([id]) => id),
        deliveries - 1,
        init.idleMs,
      )
  }

  function end(reason: string): void {
    clearTimeout(draining)
    clearTimeout(flushing)
    group.close()
    lost.abort(new EvtError('fenced', `lane ${stream} is no longer ours: ${reason}`))
    bell.ring()
  }

  function lose(reason: string): void {
    if (!lost.signal.aborted) end(reason)
  }

  async function giveUp(): Promise<void> {
    stopped = true
    bell.ring()
    await stepping
    if (lost.signal.aborted) return
    await init.onRelease(lane, giveBack)
    lose('released')
  }

  const lane: ForeignLane = {
    id: `${topic}/0`,
    index: 0,
    epoch,
    lost: lost.signal,
    get draining() {
      return draining !== undefined
    },
    get releasing() {
      return releasing !== undefined
    },
    async take(max, signal) {
      // Not before it is lost: who asks again at once would leave the release no turn.
      while (!lost.signal.aborted && !signal.aborted) {
        const batch = handOut(max)
        if (batch.length > 0) return batch
        if (!stopped && mayGet()) stepOn(max)
        await bell.wait(signal, lost.signal)
      }
      return []
    },
    async settle(done) {
      if (lost.signal.aborted) return
      const ours = done.filter(({ at }) => out.delete(at))
      acknowledgeSoon(ours.map(({ at }) => at))
      if (draining !== undefined && out.size === 0) void lane.release()
      bell.ring()
    },
    release() {
      releasing ??= giveUp()
      return releasing
    },
    drain() {
      if (out.size === 0) void lane.release()
      else draining ??= setTimeout(lane.release, drainMs).unref()
    },
    lose,
    async beat() {
      if (lost.signal.aborted || stopped) return
      await flushQuietly()
      const held = [...out.keys(), ...ready.map(({ at }) => at)]
      await group.touch(held).catch((error: unknown) => {
        if (!isReply(error, 'NOGROUP') && !isOutage(error)) problems.report(error, 0)
      })
    },
  }
  return lane
}

function deletedEntries(stream: string, count: number): EvtError {
  return new EvtError(
    'partial',
    `cannot hand out ${count} entries of ${stream}: they were deleted before they were handled`,
    {
      hint: 'trim a stream only behind its slowest group: XINFO GROUPS shows where they are',
    },
  )
}

function restoredGroup(stream: string, group: string): EvtError {
  return new EvtError('conflict', `cannot find the group ${group} of ${stream} any more: it was made again`, {
    hint: 'somebody removed the stream or the group; what was settled may come again, what was deleted does not',
  })
}
