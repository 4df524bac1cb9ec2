import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import type { LogEntry } from '../../store/log.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import type { Problems } from '../problems.ts'
import { deliveriesOf, readyOf } from '../suspicion.ts'
import type { Lane, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createWindow } from '../window.ts'
import type { Feed } from './feed.ts'
import type { ClaimedLane } from './lane-sql.ts'
import { toReceived } from './received.ts'

/** Text of events that a lane holds ready beyond the first. */
const maxQueuedBytes = 512 * 1024
const retryMs = 100

export interface LogLane extends Lane {
  readonly group: string
  readonly index: number
  /** Follows the tip; otherwise it reads the pages behind it, at its own pace. */
  readonly live: boolean
  readonly draining: boolean
  /** The settled prefix, as if `also` were settled too. */
  progress(also?: readonly Received[]): bigint
  /** That prefix goes into the transaction of a caller, who settles when it is committed. */
  settlesIn(position: bigint): void
  /** One entry at the tip, for this lane and wanted. */
  offer(entry: LogEntry): void
  /** Hands out nothing more and is released when nothing is unsettled. */
  drain(): void
  /** It is no longer ours; nothing is written. */
  lose(reason: string): void
}

export interface LogLaneInit {
  readonly group: string
  readonly claimed: ClaimedLane
  readonly lanes: number
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly suspects: number
  readonly wanted: Wanted
  readonly feed: Feed
  readonly problems: Problems
  /** Makes durable that everything up to `position` may have been started; false when the lane is not ours. */
  markStarted(lane: LogLane, position: bigint): Promise<boolean>
  /** `written` is durable already. */
  onSettled(lane: LogLane, written: bigint | undefined): void
  onRelease(lane: LogLane): Promise<void>
}

export function createLogLane(init: LogLaneInit): LogLane {
  const { claimed, feed, prefetch, problems, wanted } = init
  const lost = new AbortController()
  const bell = createDoorbell()
  const window = createWindow()
  const queue: LogEntry[] = []
  let queuedBytes = 0
  let live = false
  /** Everything up to here was looked at, while not live; live, that is the feed's tip. */
  let cursor = claimed.position
  let drainTimer: NodeJS.Timeout | undefined
  let releasing: Promise<void> | undefined
  let settlesIn: bigint | undefined

  const isFull = () => queue.length >= prefetch * 2 || queuedBytes > maxQueuedBytes
  const isMine = (entry: LogEntry) => entry.slot % init.lanes === claimed.lane && wanted(entry.type)
  const reached = () => (live && feed.tip > cursor ? feed.tip : cursor)

  function prefix(also?: ReadonlySet<bigint>): bigint {
    const next = queue[0]
    return window.prefix(next === undefined ? reached() : next.position - 1n, also)
  }

  function enqueue(entry: LogEntry): void {
    queue.push(entry)
    queuedBytes += entry.dataText.length
  }

  /** Looks at the pages behind the tip until the queue is full or the tip is reached: then it follows. */
  async function catchUp(): Promise<void> {
    while (!isFull() && !lost.signal.aborted) {
      if (cursor >= feed.tip) {
        live = true
        feed.wake()
        return
      }
      const span = feed.pages.peek(cursor)
      if (span === undefined) await feed.pages.load(cursor)
      else scan(span.entries, span.upTo)
    }
  }

  function scan(entries: readonly LogEntry[], upTo: bigint): void {
    for (const entry of entries) {
      if (isFull()) return
      if (isMine(entry)) enqueue(entry)
      cursor = entry.position
    }
    cursor = upTo
  }

  /** How many of the queue's first may be handed out now. */
  function ready(max: number): number {
    if (!isOpen()) return 0
    const { unsettled } = window
    return readyOf(claimed.suspicion, {
      queue,
      positionOf: ({ position }) => position,
      unsettled,
      first: unsettled === 0 ? undefined : window.prefix(0n) + 1n,
      room: Math.min(max, prefetch - unsettled),
      together: init.suspects,
    })
  }

  function handOut(count: number): readonly Received[] {
    return queue.splice(0, count).map((entry) => {
      queuedBytes -= entry.dataText.length
      window.add(entry.position)
      return toReceived(entry, deliveriesOf(claimed.suspicion, entry.position))
    })
  }

  const isOpen = () => !lost.signal.aborted && releasing === undefined && drainTimer === undefined

  async function pause(error: unknown, signal: AbortSignal): Promise<void> {
    const woken = AbortSignal.any([signal, lost.signal])
    await delay(problems.report(error, retryMs), undefined, { signal: woken }).catch(() => {})
  }

  async function take(max: number, signal: AbortSignal): Promise<readonly Received[]> {
    while (!lost.signal.aborted && !signal.aborted) {
      if (!live && queue.length <= prefetch) await catchUp().catch((error: unknown) => pause(error, signal))
      const count = ready(max)
      const last = queue[count - 1]
      if (last === undefined) {
        await bell.wait(signal, lost.signal)
        continue
      }
      const marked = await init.markStarted(lane, last.position)
      // It is another's by now: the next beat says so.
      if (!marked) await delay(retryMs, undefined, { signal: lost.signal }).catch(() => {})
      else if (isOpen() && !signal.aborted) return handOut(count)
    }
    return []
  }

  function end(reason: string): void {
    clearTimeout(drainTimer)
    lost.abort(new EvtError('fenced', `lane ${lane.id} of ${init.group} is no longer ours: ${reason}`))
  }

  async function release(): Promise<void> {
    releasing ??= lost.signal.aborted ? Promise.resolve() : init.onRelease(lane).then(() => end('it was released'))
    return releasing
  }

  const lane: LogLane = {
    id: `log/${claimed.lane}`,
    epoch: claimed.epoch,
    lost: lost.signal,
    group: init.group,
    index: claimed.lane,
    get live() {
      return live && !lost.signal.aborted
    },
    get draining() {
      return drainTimer !== undefined
    },
    take,
    async settle(done) {
      if (lost.signal.aborted) return
      for (const { log } of done) if (log !== undefined) window.settle(log)
      init.onSettled(lane, settlesIn)
      settlesIn = undefined
      if (drainTimer !== undefined && window.unsettled === 0) await release()
      bell.ring()
    },
    release,
    progress: (also) => prefix(also && new Set(also.map(({ log }) => log ?? 0n))),
    settlesIn(position) {
      settlesIn = position
    },
    offer(entry) {
      if (entry.position <= cursor) return
      if (isFull()) {
        // Behind from here on: it reads on in the pages when there is room.
        live = false
        cursor = entry.position - 1n
      } else {
        enqueue(entry)
        bell.ring()
      }
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
