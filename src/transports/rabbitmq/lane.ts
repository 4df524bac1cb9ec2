import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import type { Lane, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createAcks } from './acks.ts'
import { closeChannel, within } from './connect.ts'
import { closureOf, type Delivery } from './driver.ts'
import { settleTimeoutMs } from './errors.ts'
import { createSeen } from './seen.ts'
import { identityOf, type Mark, mostOwners, type Started, wasFetched } from './started.ts'
import { fromDelivery, logOf, typeOf } from './wire.ts'

/** Giving back waits no longer for its mark: without it, what is given back comes alone. */
const releaseMarkMs = 2_000

export interface RabbitLane extends Lane {
  /** Hands out nothing more and releases itself when nothing is unsettled. */
  drain(): void
  /** As if its connection had been lost. */
  lose(reason: string): void
  /** Unsettled, in the order of handing out, and what is fetched and not handed out yet. */
  readonly held: { readonly messages: number; readonly oldestMs: number | undefined }
}

export interface LaneInit {
  /** It owns the lane for as long as it is open; the lane closes it. */
  readonly channel: Channel
  readonly id: string
  readonly topic: string
  readonly group: string
  readonly queue: string
  readonly epoch: bigint
  /** Unsettled messages that it may hand out. */
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly together: number
  /** What the server sends ahead of settling; at least `prefetch`. */
  readonly ahead: number
  /** The queue is as evt makes it: what comes back comes before everything else, and its fetches are counted. */
  readonly isOurs: boolean
  readonly wanted: Wanted
  /** What earlier owners were handed and did not settle. */
  readonly suspects: Started
  /** Resolves when the next owner would know; whatever happens, before one of the signals has aborted for long. */
  mark(mark: Mark, ...until: readonly AbortSignal[]): Promise<void>
  /** The queue's messages are the next owner's from here on. */
  onEnded(): void
  onProblem(error: Error): void
}

/** Becomes the consumer of the lane's queue. Throws what the server answers: `NOT_FOUND` for a queue that was deleted. */
export async function openLane(init: LaneInit): Promise<RabbitLane> {
  const { channel, id, topic, queue, epoch, prefetch, wanted } = init
  const lost = new AbortController()
  const bell = createDoorbell()
  const seen = createSeen()
  const acks = createAcks((deliveryTag, multiple) => {
    // A channel that has just gone takes no acknowledgement, and its messages come again.
    if (channel.active) channel.basicAck({ deliveryTag, multiple })
  })
  /** Handed out, or about to be, and not settled: by tag. */
  const unsettled = new Map<
    number,
    { readonly identity: string; readonly owners: number; readonly timeMs: number | undefined }
  >()
  const suspects = new Map(init.suspects)
  /** So many that nobody had fetched are reached: nothing of what others had in hand is to come. */
  let newOnes = 0
  const mostBeforeReturned = init.isOurs ? 1 : init.ahead
  /** There is more in the lane's mark than `suspects`. */
  let isMarked = false
  /** Collected, and not yet known to be marked. */
  let pending: readonly Received[] = []
  let fetched: Delivery[] = []
  let head = 0
  let ringing = false
  let draining: NodeJS.Timeout | undefined
  let releasing: Promise<void> | undefined

  function end(reason: string): void {
    if (lost.signal.aborted) return
    clearTimeout(draining)
    fetched = []
    head = 0
    lost.abort(new EvtError('fenced', `lane ${id} is no longer ours: ${reason}`))
    bell.ring()
    init.onEnded()
  }

  /** How many owners before this one had it in hand. */
  function ownersOf(delivery: Delivery): number {
    if (suspects.size === 0 || !wasFetched(delivery)) return 0
    const owners = suspects.get(identityOf(delivery)) ?? 0
    return init.isOurs ? Math.min(owners, mostOwners(delivery)) : owners
  }

  /** Those that were acknowledged never come again: without this they would be in every mark for ever. */
  function forgetSettled(reached: Delivery): void {
    if (suspects.size > 0 && !wasFetched(reached) && ++newOnes >= mostBeforeReturned) suspects.clear()
  }

  const mostOut = (owners: number) => (owners === 0 ? prefetch : owners === 1 ? Math.min(init.together, prefetch) : 1)

  /** What may have ended an owner comes with few others or alone: not behind what did not, and nothing of that behind it. */
  function mayGoOut(owners: number): boolean {
    const [out] = unsettled.values()
    return unsettled.size < mostOut(owners) && (out === undefined || out.owners === owners)
  }

  function collect(max: number): readonly Received[] {
    const batch: Received[] = []
    const passed: number[] = []
    while (draining === undefined && batch.length < max) {
      const delivery = fetched[head]
      if (delivery === undefined) break
      const owners = ownersOf(delivery)
      if (!mayGoOut(owners)) break
      forgetSettled(delivery)
      passFirst()
      const log = logOf(delivery)
      if (!wanted(typeOf(delivery)) || (log !== undefined && !seen.add(log))) {
        passed.push(delivery.deliveryTag)
        continue
      }
      const received = fromDelivery(delivery, topic, `${epoch}.${delivery.deliveryTag}`, owners + 1)
      unsettled.set(delivery.deliveryTag, { identity: identityOf(delivery), owners, timeMs: received.timeMs })
      batch.push(received)
    }
    acks.settle(passed)
    return batch
  }

  function passFirst(): void {
    head++
    if (head > 512 && head * 2 > fetched.length) {
      fetched = fetched.slice(head)
      head = 0
    }
  }

  /** With what is in hand: it would come to the next owner as begun by this one too. */
  const startedNow = (): Mark => ({ suspects, inHand: [...unsettled.values()].map(({ identity }) => identity) })

  async function release(): Promise<void> {
    releasing ??= (async () => {
      if (lost.signal.aborted) return
      // Before the channel is closed, so that nothing more is handed out or settled; the answer comes behind all acknowledgements.
      clearTimeout(draining)
      acks.flush()
      lost.abort(new EvtError('fenced', `lane ${id} is no longer ours: it was released`))
      bell.ring()
      // What is given back was not ended by this owner.
      if (isMarked) await init.mark({ suspects, inHand: [] }, AbortSignal.timeout(releaseMarkMs))
      await closeChannel(channel)
      init.onEnded()
    })()
    return releasing
  }

  channel.once('close', () => {
    const closure = closureOf(channel)
    const timeoutMs = settleTimeoutMs(closure)
    if (timeoutMs !== undefined && !lost.signal.aborted) init.onProblem(tooSlow(id, timeoutMs))
    end(closure === undefined ? 'its connection was lost' : `RabbitMQ closed its channel: ${closure.message}`)
  })
  channel.on('basic.cancel', () => {
    end(
      'RabbitMQ cancelled it: its queue was deleted, its node left, or a message was unsettled beyond consumer_timeout',
    )
    void closeChannel(channel)
  })
  try {
    await within(channel.basicQos({ prefetchCount: init.ahead }), `consume ${queue}`)
    const ring = () => {
      ringing = false
      bell.ring()
    }
    const onMessage = (message: unknown) => {
      fetched.push(message as Delivery)
      // What came with it comes in the same turn: a batch, and not one message.
      if (!ringing) setImmediate(ring)
      ringing = true
    }
    await within(channel.basicConsume({ queue }, onMessage), `consume ${queue}`)
  } catch (error) {
    lost.abort()
    await closeChannel(channel)
    throw error
  }

  return {
    id,
    epoch,
    lost: lost.signal,
    release,
    get held() {
      const oldestMs = [...unsettled.values()].find(({ timeMs }) => timeMs !== undefined)?.timeMs
      return { messages: unsettled.size + fetched.length - head, oldestMs }
    },
    async take(max, signal) {
      while (!lost.signal.aborted && !signal.aborted) {
        if (pending.length === 0) pending = collect(max)
        if (pending.length === 0) {
          await bell.wait(signal, lost.signal)
          continue
        }
        isMarked = true
        await init.mark(startedNow(), signal, lost.signal)
        if (lost.signal.aborted || signal.aborted) break
        const batch = pending.slice(0, max)
        pending = pending.slice(max)
        return batch
      }
      return []
    },
    async settle(done) {
      if (lost.signal.aborted) return
      const tags = done.flatMap(({ at }) => {
        const tag = tagIn(at, epoch)
        const entry = tag === undefined ? undefined : unsettled.get(tag)
        if (tag === undefined || entry === undefined) return []
        unsettled.delete(tag)
        suspects.delete(entry.identity)
        return [tag]
      })
      acks.settle(tags)
      if (draining !== undefined && unsettled.size === 0) await release()
      bell.ring()
    },
    drain() {
      if (unsettled.size === 0) void release()
      else draining ??= setTimeout(() => void release(), drainMs).unref()
    },
    lose: (reason) => {
      end(reason)
      void closeChannel(channel)
    },
  }
}

function tooSlow(lane: string, timeoutMs: number): EvtError {
  const reason = `a message of it was unsettled for longer than RabbitMQ's consumer_timeout of ${timeoutMs / 1_000} s`
  return new EvtError('timeout', `cannot keep lane ${lane}: ${reason}; what was unsettled comes again`, {
    hint: 'lower the prefetch, which waits for slow handlers too, or raise consumer_timeout in rabbitmq.conf',
  })
}

/** undefined for a position of another owner. */
function tagIn(at: string, epoch: bigint): number | undefined {
  const dot = at.indexOf('.')
  return at.slice(0, dot) === String(epoch) ? Number(at.slice(dot + 1)) : undefined
}
