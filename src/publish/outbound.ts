import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { type BackoffPolicy, backoffMs } from '../core/backoff.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { Message, Published, Transport } from '../transports/transport.ts'

/** A message on its way to one topic. */
export interface Outgoing {
  readonly message: Message
  readonly bytes: number
  /** By `performance.now()`. */
  readonly sinceMs: number
  settle(result: Published): void
}

export interface OutboundOptions {
  readonly transport: Pick<Transport, 'publish'>
  readonly topic: string
  /** Ends what is tried and waited for: the rest is answered with `unknown`. */
  readonly signal: AbortSignal
  /** How long a message is tried. */
  readonly giveUpMs: number
}

/** The queue of one topic. One batch is on its way at a time: so retries keep the order. */
export interface Outbound {
  add(outgoing: Outgoing): void
  /** Resolves when everything that was added has its answer. */
  idle(): Promise<void>
}

const mostAtOnce = 500
/** Brokers bound what they take at once, Kafka at 1 MiB; a bigger message goes alone. */
const mostBytes = 512 * 1024
const oneTryMs = 10_000
const turnMs = 5
const again: BackoffPolicy = { backoff: 'exponential', initialMs: 50, maxMs: 1_000 }
/** What is behind a refused message in its lane is refused with it, and sent again without it so many times. */
const mostRefusals = 10

/**
 * Sends in order, the same bytes each time. What the broker did not answer is sent again with full jitter, until the message is older than
 * `giveUpMs`: then it is `unknown`. A message that is refused takes no other along.
 */
export function createOutbound({ transport, topic, signal, giveUpMs }: OutboundOptions): Outbound {
  const queue: Outgoing[] = []
  let sending: Promise<void> | undefined

  function nextBatch(): Outgoing[] {
    let size = 0
    for (let bytes = 0; size < mostAtOnce && size < queue.length; size++) {
      bytes += queue[size]?.bytes ?? 0
      if (size > 0 && bytes > mostBytes) break
    }
    return queue.splice(0, size)
  }

  async function tryOnce(batch: readonly Outgoing[]): Promise<readonly Published[]> {
    const messages = batch.map(({ message }) => message)
    try {
      return await transport.publish(topic, messages, AbortSignal.any([signal, AbortSignal.timeout(oneTryMs)]))
    } catch (thrown) {
      const error = asEvtError(thrown, topic)
      return messages.map(() => ({ state: error.code === 'closed' ? 'refused' : 'unknown', error }))
    }
  }

  async function send(batch: readonly Outgoing[]): Promise<void> {
    let left = batch
    let failures = 0
    let refusals = 0
    while (left.length > 0) {
      const open = settleDone(left, await tryOnce(left))
      const [first] = open
      // Nothing of its lane is open before it: it is refused for its own sake.
      const isRefused = first !== undefined && isFinal(first.result)
      if (isRefused) refusals += 1
      else if (first) await delay(backoffMs(again, ++failures, Math.random()), undefined, { signal }).catch(() => {})
      const overMs = performance.now() - giveUpMs
      left = open.flatMap(({ outgoing, result }) => {
        const isGivenUp = isRefused && isFinal(result) && (outgoing === first?.outgoing || refusals > mostRefusals)
        if (!isGivenUp && !signal.aborted && outgoing.sinceMs >= overMs) return [outgoing]
        outgoing.settle(result)
        return []
      })
    }
  }

  /** What is still open. */
  function settleDone(batch: readonly Outgoing[], results: readonly Published[]) {
    return batch.flatMap((outgoing, at) => {
      const result = results[at] ?? unanswered(topic)
      if (!isDone(result)) return [{ outgoing, result }]
      outgoing.settle(result)
      return []
    })
  }

  async function sendAll(): Promise<void> {
    // The rest of this turn's messages join the first batch.
    await Promise.resolve()
    let turn = performance.now()
    while (queue.length > 0) {
      await send(nextBatch())
      // Nothing else in this process may wait for a transport that answers at once.
      if (performance.now() - turn < turnMs) continue
      await nextTurn()
      turn = performance.now()
    }
    sending = undefined
  }

  return {
    add(outgoing) {
      queue.push(outgoing)
      sending ??= sendAll()
    },
    async idle() {
      while (sending) await sending
    },
  }
}

/** Refused for its own sake; a server that is away refuses too, and takes it when it is back. */
const isFinal = (result: Published) =>
  result.state === 'refused' && result.error.code !== 'connect' && result.error.code !== 'timeout'

const isDone = ({ state }: Published) => state === 'stored' || state === 'duplicate'

function unanswered(topic: string): Published {
  return {
    state: 'unknown',
    error: new EvtError('internal', `cannot publish to ${topic}: the transport gave no answer`),
  }
}

function asEvtError(thrown: unknown, topic: string): EvtError {
  if (thrown instanceof EvtError) return thrown
  return new EvtError('internal', `cannot publish to ${topic}: ${toError(thrown).message}`, { cause: thrown })
}
