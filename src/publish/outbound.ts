import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { backoffMs } from '../core/backoff.ts'
import { EvtError, isForGood, toError } from '../core/errors.ts'
import type { PublishConfig } from '../core/publish-options.ts'
import type { Published } from '../transports/transport.ts'
import { createPriorityQueue } from './priority-queue.ts'
import type { Outgoing, PublishEnd } from './publish-end.ts'
import type { PublishMeter } from './publish-meter.ts'
import type { TokenBucket } from './token-bucket.ts'

export interface OutboundOptions<P> {
  readonly send: PublishEnd<P>['send']
  /** Of the queue: a topic. */
  readonly name: string
  readonly config: Pick<PublishConfig, 'batch' | 'retry' | 'timeoutMs'>
  /** Shared by all queues of a publisher. */
  readonly bucket: TokenBucket | undefined
  readonly meter: PublishMeter
  /** Ends what is tried and waited for. */
  readonly signal: AbortSignal
  settle(outgoing: Outgoing<P>, result: Published): void
}

/** One queue. One batch is on its way at a time: so retries keep the order. */
export interface Outbound<P> {
  add(outgoing: Outgoing<P>): void
  /** Resolves when everything that was added has its answer; no batch waits to become fuller. */
  idle(): Promise<void>
}

/** Brokers bound what they take at once, Kafka at 1 MiB; a bigger message goes alone. */
const mostBytes = 512 * 1024
const oneTryMs = 10_000
const turnMs = 5
/** What is behind a refused message in its lane is refused with it, and sent again without it; after so many times one by one. */
const mostRefusals = 10

/** Without an answer that ends it; the result is that of its last try. */
interface Open<P> {
  readonly outgoing: Outgoing<P>
  readonly result: Published
}

/**
 * Sends by priority, each subject in its order, the same bytes each time. What was not answered is sent again with full jitter, until it is
 * older than the time-out: then it is `unknown`. One that is refused takes no other along.
 */
export function createOutbound<P>(options: OutboundOptions<P>): Outbound<P> {
  const { name, config, bucket, meter, signal, settle } = options
  const queue = createPriorityQueue<Outgoing<P>>()
  const again = { backoff: 'exponential', ...config.retry } as const
  let sending: Promise<void> | undefined
  /** Taken from the queue, too big for the batch before. */
  let spare: Outgoing<P> | undefined
  let waitsForRate = 0
  let wake: (() => void) | undefined
  let idlers = 0

  const waiting = () => queue.size + (spare ? 1 : 0)

  function take(): Outgoing<P> | undefined {
    if (!bucket || queue.size === 0) return queue.shift()
    const nowMs = performance.now()
    const taken = bucket.take(nowMs, false) ? queue.shift() : takeCritical(nowMs)
    if (!taken) return undefined
    // Time spent waiting for the rate is no time of trying.
    taken.sinceMs = nowMs
    if (waitsForRate > 0) waitsForRate -= 1
    return taken
  }

  function takeCritical(nowMs: number): Outgoing<P> | undefined {
    if (!queue.hasCritical || bucket?.take(nowMs, true) === undefined) return undefined
    meter.bypassed += 1
    return queue.shift('critical')
  }

  function nextBatch(): Outgoing<P>[] {
    const batch: Outgoing<P>[] = []
    let bytes = 0
    while (batch.length < config.batch.size) {
      const next = spare ?? take()
      spare = undefined
      if (next === undefined) break
      bytes += next.bytes
      if (batch.length > 0 && bytes > mostBytes) {
        spare = next
        break
      }
      batch.push(next)
    }
    return batch
  }

  async function tryOnce(batch: readonly Outgoing<P>[]): Promise<readonly Published[]> {
    try {
      return await options.send(name, batch, AbortSignal.any([signal, AbortSignal.timeout(oneTryMs)]))
    } catch (thrown) {
      const error = asEvtError(thrown, name)
      return batch.map(() => ({ state: error.code === 'closed' ? 'refused' : 'unknown', error }))
    }
  }

  async function send(batch: readonly Outgoing<P>[]): Promise<void> {
    let left = batch.map((outgoing): Open<P> => ({ outgoing, result: unanswered(name) }))
    let size = batch.length
    let failures = 0
    let refusals = 0
    meter.batches += 1
    meter.sent += batch.length
    while (left.length > 0) {
      const tried = left.slice(0, size).map(({ outgoing }) => outgoing)
      const behind = left.slice(size)
      const open = settleDone(tried, await tryOnce(tried))
      const [first] = open
      // Nothing of its lane is open before it: it is refused for its own sake.
      const isRefused = first !== undefined && isFinal(first.result)
      if (isRefused) refusals += 1
      else if (first) await delay(backoffMs(again, ++failures, Math.random()), undefined, { signal }).catch(() => {})
      // Sent alone, and for no fault of its own: the others hear the same.
      const isOfServer = isRefused && size === 1 && !isForGood(errorOf(first.result))
      if (refusals >= mostRefusals) size = isRefused ? 1 : size * 2
      const overMs = performance.now() - config.timeoutMs
      left = [...open, ...behind].flatMap((one) => {
        const { outgoing, result } = one
        const isGivenUp = isRefused && isFinal(result) && (one === first || isOfServer)
        if (isGivenUp || signal.aborted || outgoing.sinceMs < overMs) {
          settle(outgoing, result)
          return []
        }
        outgoing.isAgain ||= result.state === 'unknown'
        return [one]
      })
      meter.retried += Math.min(size, left.length)
    }
  }

  /** What is still open. */
  function settleDone(batch: readonly Outgoing<P>[], results: readonly Published[]): Open<P>[] {
    return batch.flatMap((outgoing, at) => {
      const result = results[at] ?? unanswered(name)
      if (!isDone(result)) return [{ outgoing, result }]
      settle(outgoing, result)
      return []
    })
  }

  /** For so long, or until `wake`. */
  async function pause(ms: number): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = () => resolve()
    wake = end
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
    await promise
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    wake = undefined
  }

  /** Lets a batch become fuller. */
  async function gather(): Promise<void> {
    const { size, waitMs } = config.batch
    if (waitMs === 0) return
    const untilMs = performance.now() + waitMs
    for (let leftMs = waitMs; leftMs > 0 && queue.size < size && idlers === 0 && !signal.aborted; ) {
      await pause(leftMs)
      leftMs = untilMs - performance.now()
    }
  }

  async function awaitRate(): Promise<void> {
    meter.rateLimited += Math.max(0, queue.size - waitsForRate)
    waitsForRate = Math.max(waitsForRate, queue.size)
    await pause(Math.max(1, bucket?.waitMs(performance.now()) ?? 1))
  }

  async function sendAll(): Promise<void> {
    // The rest of this turn's messages join the first batch.
    await Promise.resolve()
    let turn = performance.now()
    while (waiting() > 0) {
      await gather()
      if (signal.aborted) refuseAll()
      const batch = nextBatch()
      if (batch.length > 0) await send(batch)
      else if (queue.size > 0) await awaitRate()
      // Nothing else in this process may wait for a transport that answers at once.
      if (performance.now() - turn < turnMs) continue
      await nextTurn()
      turn = performance.now()
    }
    sending = undefined
  }

  /** Never sent: it is nowhere. */
  function refuseAll(): void {
    const error = new EvtError('closed', `cannot publish to ${name}: the publisher was closed before it was its turn`)
    for (let next = spare ?? queue.shift(); next; next = queue.shift()) settle(next, { state: 'refused', error })
    spare = undefined
  }

  return {
    add(outgoing) {
      queue.push(outgoing)
      if (wake && (outgoing.level === 0 || queue.size === config.batch.size)) wake()
      sending ??= sendAll()
    },
    async idle() {
      idlers += 1
      wake?.()
      while (sending) await sending
      idlers -= 1
    },
  }
}

/** Refused for its own sake; a server that is away refuses too, and takes it when it is back. */
const isFinal = (result: Published) =>
  result.state === 'refused' && result.error.code !== 'connect' && result.error.code !== 'timeout'

const errorOf = (result: Published) => ('error' in result ? result.error : undefined)

const isDone = ({ state }: Published) => state === 'stored' || state === 'duplicate'

function unanswered(name: string): Published {
  return { state: 'unknown', error: new EvtError('internal', `cannot publish to ${name}: there was no answer`) }
}

function asEvtError(thrown: unknown, name: string): EvtError {
  if (thrown instanceof EvtError) return thrown
  return new EvtError('internal', `cannot publish to ${name}: ${toError(thrown).message}`, { cause: thrown })
}
