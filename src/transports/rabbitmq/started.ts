// What owners of a lane were handed and did not settle, for the next owner: the server counts what was fetched, begun or not. In a queue beside the
// lane that keeps one message, the last that was written:
//
//   {"by":"5f0c…","started":[["01936b2e-…",2,1],…]}   identity of a message, how many owners had it in hand, and 1 where who wrote this is one of them
import { createHash, randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { type Link, pause, unlessMissing, withChannel, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { isFinal, translate } from './errors.ts'
import { backoff, type Session } from './session.ts'

/** By the identity of a message: how many owners had it in hand. */
export type Started = ReadonlyMap<string, number>

export interface Mark {
  /** Of earlier owners. */
  readonly suspects: Started
  /** Identities of what the owner that writes has in hand. */
  readonly inHand: readonly string[]
}

export interface StartedMarks {
  /** What earlier owners left, but for what these marks' own one did: it lives, and only its connection was lost. The caller owns the lane. */
  read(link: Link, queue: string): Promise<Started>
  /**
   * Replaces what is known of the lane. A queue that somebody deleted is made again, and that is told to `onProblem`. Resolves when the server has it, tried again until one of the signals aborts; or when the server takes no
   * messages because it is short of memory: only handing out gives it room. A refusal is told to `onProblem`, and the lane goes on without.
   */
  write(queue: string, mark: Mark, init: MarkInit): Promise<void>
}

interface MarkInit {
  readonly until: readonly AbortSignal[]
  onProblem(error: EvtError): void
}

/** A classic queue as the lock is: it belongs to the members, and what ends them does not end the server. */
export async function declareStarted(channel: Channel, queue: string): Promise<void> {
  const limits = { 'x-queue-type': 'classic', 'x-max-length': 1, 'x-overflow': 'drop-head' } as const
  await within(channel.queueDeclare({ queue, durable: true, arguments: limits }), `declare queue ${queue}`)
}

function format({ suspects, inHand }: Mark, by: string): Buffer {
  const started = new Map<string, readonly [string, number, number?]>()
  for (const [identity, owners] of suspects) started.set(identity, [identity, owners])
  for (const identity of inHand) started.set(identity, [identity, (suspects.get(identity) ?? 0) + 1, 1])
  return Buffer.from(JSON.stringify({ by, started: [...started.values()] }))
}

/** Something else may write to the queue: that says nothing about the lane. */
function parse(body: Buffer, reader: string): Started {
  try {
    const { by, started } = JSON.parse(body.toString()) as { by?: string; started: [string, number, number?][] }
    const counts = started.map(([id, owners, own = 0]) => [id, by === reader ? owners - own : owners] as const)
    return new Map(
      counts.filter(([id, owners]) => typeof id === 'string' && Number.isSafeInteger(owners) && owners > 0),
    )
  } catch {
    return new Map()
  }
}

/** As its publisher named it. */
export function nameOf({ messageId, headers }: Delivery): string | undefined {
  const named = messageId || headers?.['evt-id'] || headers?.['cloudEvents:id'] || headers?.cloudEvents_id
  return typeof named === 'string' ? named : undefined
}

/** Of this message wherever it is fetched; two that differ in nothing are one. */
export const identityOf = (delivery: Delivery): string =>
  nameOf(delivery) ?? `sha256:${createHash('sha256').update(delivery.body).digest('base64url')}`

/** How often it was fetched before and came back, as far as the server counts that: a quorum queue does. */
const fetchesOf = ({ headers }: Delivery): number =>
  Math.max(Number(headers?.['x-delivery-count'] ?? 0), Number(headers?.['x-acquired-count'] ?? 0)) || 0

/** Whether it was fetched before, and came back. */
export const wasFetched = (delivery: Delivery): boolean => delivery.redelivered || fetchesOf(delivery) > 0

/** Out of a quorum queue: how many owners it can have had. */
export const mostOwners = (delivery: Delivery): number => Math.max(fetchesOf(delivery), wasFetched(delivery) ? 1 : 0)

/** `not-taken`: the server is short of memory, or nobody waits any more. */
type Written = 'written' | 'not-taken' | 'made-anew'

/** How often a write that is not confirmed looks whether the server takes messages at all. */
const lookMs = 50

export function createStartedMarks(session: Session): StartedMarks {
  /** Tells this owner of marks from all others, also from those of an earlier process. */
  const by = randomUUID()
  /** Queues that were not there for a mark. */
  const missing = new Set<string>()
  let current: { readonly link: Link; readonly channel: Channel } | undefined
  let opening: Promise<void> | undefined

  async function open(): Promise<void> {
    const link = await session.link('publish')
    const channel = await link.channel()
    await within(channel.confirmSelect(), 'ask for confirms')
    channel.on('basic.return', ({ routingKey }) => missing.add(routingKey))
    current = { link, channel }
  }

  async function write(queue: string, body: Buffer, until: readonly AbortSignal[]): Promise<Written> {
    if (!current?.channel.active) {
      opening ??= open().finally(() => {
        opening = undefined
      })
      await opening
    }
    if (current === undefined || current.link.blocked !== undefined) return 'not-taken'
    const { link, channel } = current
    const confirmed = channel
      .basicPublish({ routingKey: queue, durable: true, mandatory: true }, body)
      .then(async (): Promise<Written> => {
        // The server returns before it confirms; the library tells the one a turn after the other.
        await nextTurn()
        if (!missing.delete(queue)) return 'written'
        await withChannel(link, (own) => declareStarted(own, queue))
        return 'made-anew'
      })
    confirmed.catch(() => {})
    for (;;) {
      const ended = new AbortController()
      const written = await Promise.race([confirmed, pause(lookMs, ended.signal, ...until)])
      ended.abort()
      if (written !== undefined) return written
      if (link.blocked !== undefined || until.some(({ aborted }) => aborted)) return 'not-taken'
    }
  }

  return {
    async read(link, queue) {
      const get = withChannel(link, async (channel) => {
        const mark = (await within(channel.basicGet({ queue }), `read ${queue}`)) as unknown as Delivery | undefined
        if (mark === undefined) return new Map<string, number>()
        channel.basicNack({ deliveryTag: mark.deliveryTag, requeue: true })
        return parse(mark.body, by)
      })
      const started = await unlessMissing(get)
      if (started !== undefined) return started
      await withChannel(link, (channel) => declareStarted(channel, queue))
      return new Map()
    },
    async write(queue, mark, { until, onProblem }) {
      const body = format(mark, by)
      for (let failures = 0; !until.some(({ aborted }) => aborted); failures++) {
        try {
          if ((await write(queue, body, until)) !== 'made-anew') return
          onProblem(madeAnew(queue))
        } catch (thrown) {
          const error = translate(thrown, `mark in ${queue} what is begun`)
          if (failures === 0) onProblem(error)
          if (isFinal(error)) return
        }
        await backoff(failures, ...until)
      }
    },
  }
}

const madeAnew = (queue: string) =>
  new EvtError('conflict', `queue ${queue} was deleted: it is made again, and which deaths it knew of is lost`)
