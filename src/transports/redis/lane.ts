import { typeIn } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import type { Problems } from '../problems.ts'
import { deliveriesOf, noSuspicion, readyOf } from '../suspicion.ts'
import type { Lane, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createWindow } from '../window.ts'
import type { RedisContext } from './context.ts'
import { type LaneState, type Tip, writeLane } from './lane-scripts.ts'
import type { Place } from './position.ts'
import { createLaneReader, type Found } from './reader.ts'
import type { Topic } from './topic.ts'

/** Bodies that a lane holds ready beyond the first. */
const maxQueuedBytes = 4 * 1024 * 1024
const retryMs = 100

export interface RedisLane extends Lane {
  readonly index: number
  readonly draining: boolean
  readonly releasing: boolean
  /** There may be something new. */
  wake(): void
  /** Looks, when it is idle, whether there is more in its stream, and whether that is still the one that it has read. True when no bell said so. */
  verify(readTip: (stream: string) => Promise<Tip>): Promise<boolean>
  /** Makes the settled prefix durable where it is not. */
  flush(): Promise<void>
  /** Hands out nothing more and is released when nothing is unsettled. */
  drain(): void
  /** It is no longer ours; nothing is written. */
  lose(reason: string): void
}

export interface RedisLaneInit {
  readonly context: RedisContext
  readonly topic: Topic
  readonly group: string
  readonly index: number
  readonly epoch: bigint
  readonly state: LaneState
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly suspects: number
  readonly wanted: Wanted
  readonly problems: Problems
  /** Settled, and not durable yet. */
  onSettled(lane: RedisLane): void
  /** Its place is durable: frees the lease. Resolves also where the server could not be asked within the time to close. */
  onRelease(lane: RedisLane, write: () => Promise<unknown>): Promise<void>
}

export function createRedisLane(init: RedisLaneInit): RedisLane {
  const { context, epoch, group, index, prefetch, problems, topic, wanted } = init
  const stream = topic.streams[index] as string
  const { client } = context.connections
  const lost = new AbortController()
  const bell = createDoorbell()
  const window = createWindow()
  const reader = createLaneReader({ context, topic, lane: index, from: init.state.settled, problems })
  /** Handed out and not settled: the turn of each, by its `at`, and what had which turn. The window counts turns, because places hash badly. */
  const turnOf = new Map<string, bigint>()
  const held = new Map<bigint, Found>()
  let turns = 0n
  let queue: Found[] = []
  let queuedBytes = 0
  let { started, suspicion } = init.state
  /** As it was last written. */
  let written = init.state.settled
  /** There may be more than was read. */
  let more = true
  let filling: Promise<void> | undefined
  let writing: Promise<unknown> = Promise.resolve()
  let retrying: NodeJS.Timeout | undefined
  let drainTimer: NodeJS.Timeout | undefined
  let releasing: Promise<void> | undefined

  const isOpen = () => !lost.signal.aborted && releasing === undefined && drainTimer === undefined
  const isFull = () => queue.length >= prefetch * 2 || queuedBytes > maxQueuedBytes

  /** The first that is handed out and not settled. */
  const firstHeld = () => (window.unsettled === 0 ? undefined : held.get(window.prefix(turns) + 1n))
  const settled = () => (firstHeld() ?? queue[0])?.before ?? reader.place

  /** One after the other, so that none is overtaken by an older one. */
  function write(): Promise<boolean> {
    const next = writing.then(() => {
      const state = { settled: settled(), started, suspicion }
      return writeLane(client, stream, group, epoch, state).then((mine) => {
        if (mine) written = state.settled
        return mine
      })
    })
    writing = next.catch(() => {})
    return next
  }

  async function fill(): Promise<void> {
    more = false
    const { found, ended } = await reader.read(Math.max(1, prefetch * 2 - queue.length))
    if (!ended) more = true
    for (const one of found) {
      if (!wanted(typeIn(one.message.headers))) continue
      queue.push(one)
      queuedBytes += one.message.body.length
    }
  }

  /** At most one read at a time; what goes wrong is tried again. */
  function fillSoon(): void {
    if (filling !== undefined || retrying !== undefined || !more || isFull() || !isOpen()) return
    filling = fill()
      .catch((error: unknown) => retryIn(problems.report(error, retryMs)))
      .finally(() => {
        filling = undefined
        bell.ring()
      })
  }

  function wake(): void {
    more = true
    bell.ring()
  }

  /** Nothing is tried before then. One timer: if every ring in between began a row of tries of its own, they would add up to all there is. */
  function retryIn(ms: number): void {
    retrying ??= setTimeout(() => {
      retrying = undefined
      wake()
    }, ms).unref()
  }

  /** How many of the queue's first may be handed out now. */
  function ready(max: number): number {
    if (!isOpen() || retrying !== undefined) return 0
    const { unsettled } = window
    return readyOf(suspicion, {
      queue,
      positionOf: ({ place }) => place,
      unsettled,
      first: firstHeld()?.place,
      room: Math.min(max, prefetch - unsettled),
      together: init.suspects,
    })
  }

  function handOut(count: number): readonly Received[] {
    const found = queue.slice(0, count)
    queue = queue.slice(count)
    return found.map((one) => {
      queuedBytes -= one.message.body.length
      turns++
      window.add(turns)
      turnOf.set(one.message.at, turns)
      held.set(turns, one)
      return { ...one.message, deliveries: deliveriesOf(suspicion, one.place) }
    })
  }

  /** Before anything is handed out: whoever comes after our death must know that it may have been started. */
  async function markStarted(last: Found): Promise<boolean> {
    const before = started
    started = last.place
    const marked = await write().catch((error: unknown) => {
      retryIn(problems.report(error, retryMs))
      return undefined
    })
    if (marked === true) return true
    started = before
    // It is another's by now: the next beat says so.
    if (marked === false) retryIn(retryMs)
    return false
  }

  /** It was marked, and then nobody wanted it any more. */
  function unmark(before: Place): void {
    started = before
    // Where this does not come through, whoever comes next is only more careful than it need be.
    write().catch(() => {})
  }

  async function take(max: number, signal: AbortSignal): Promise<readonly Received[]> {
    while (!lost.signal.aborted && !signal.aborted) {
      const count = ready(max)
      const last = queue[count - 1]
      const before = started
      if (queue.length - count < prefetch) fillSoon()
      if (last === undefined) await bell.wait(signal, lost.signal)
      else if (!(await markStarted(last))) await bell.wait(signal, lost.signal)
      else if (isOpen() && !signal.aborted) return handOut(count)
      else if (isOpen()) unmark(before)
    }
    return []
  }

  function end(reason: string): void {
    clearTimeout(drainTimer)
    if (!lost.signal.aborted)
      lost.abort(new EvtError('fenced', `lane ${lane.id} of ${group} is no longer ours: ${reason}`))
  }

  /** What was handed out and given back was not started by anybody dead. */
  function writeReleased(): Promise<boolean> {
    started = settled()
    return write()
  }

  function release(): Promise<void> {
    releasing ??= lost.signal.aborted
      ? Promise.resolve()
      : init.onRelease(lane, writeReleased).then(() => end('it was released'))
    return releasing
  }

  const lane: RedisLane = {
    id: `${topic.name}/${index}`,
    epoch,
    lost: lost.signal,
    index,
    get draining() {
      return drainTimer !== undefined
    },
    get releasing() {
      return releasing !== undefined
    },
    take,
    async settle(done) {
      if (lost.signal.aborted) return
      for (const { at } of done) {
        const turn = turnOf.get(at)
        if (turn === undefined) continue
        turnOf.delete(at)
        held.delete(turn)
        window.settle(turn)
      }
      init.onSettled(lane)
      context.trimmer.touch(stream)
      if (drainTimer !== undefined && window.unsettled === 0) await release()
      bell.ring()
    },
    release,
    wake,
    async verify(readTip) {
      if (filling !== undefined || queue.length > 0 || more || !isOpen()) return false
      const before = reader.place
      if ((await reader.verify(() => readTip(stream))) === 'same') return false
      const isNews = !more
      // Places begin anew with the stream: they cannot be compared with what was suspect before.
      if (reader.place < before) suspicion = noSuspicion
      wake()
      return isNews
    },
    async flush() {
      if (lost.signal.aborted || releasing !== undefined || settled() === written) return
      await write().catch((error: unknown) => problems.report(error, retryMs))
    },
    drain() {
      if (drainTimer !== undefined) return
      drainTimer = setTimeout(release, drainMs).unref()
      if (window.unsettled === 0) void release()
    },
    lose: end,
  }
  return lane
}
