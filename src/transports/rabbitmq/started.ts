// What owners of a lane were handed and did not settle, for the next owner: the server counts what was fetched, begun or not. In a queue beside the
// lane that keeps one message, the last that was written:
//
//   {"started":[["01936b2e-…",2],…]}   identity of a message, and how many owners had it in hand
import { createHash } from 'node:crypto'
import type { Channel } from 'rabbitmq-client'
import type { EvtError } from '../../core/errors.ts'
import { type Link, pause, unlessMissing, withChannel, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { isFinal, translate } from './errors.ts'
import { backoff, type Session } from './session.ts'

/** By the identity of a message: how many owners had it in hand. */
export type Started = ReadonlyMap<string, number>

export interface StartedMarks {
  /**
   * Replaces what is known of the lane. Resolves when the server has it, tried again until one of the signals aborts; or when the server takes no
   * messages because it is short of memory: only handing out gives it room. A refusal is told to `onProblem`, and the lane goes on without.
   */
  write(queue: string, started: Started, init: MarkInit): Promise<void>
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

/** What the last owner left; the caller owns the lane. */
export async function readStarted(link: Link, queue: string): Promise<Started> {
  const get = withChannel(link, async (channel) => {
    const mark = (await within(channel.basicGet({ queue }), `read ${queue}`)) as unknown as Delivery | undefined
    if (mark === undefined) return new Map<string, number>()
    channel.basicNack({ deliveryTag: mark.deliveryTag, requeue: true })
    return parseStarted(mark.body)
  })
  const started = await unlessMissing(get)
  if (started !== undefined) return started
  await withChannel(link, (channel) => declareStarted(channel, queue))
  return new Map()
}

/** Something else may write to the queue: that says nothing about the lane. */
function parseStarted(body: Buffer): Started {
  try {
    const { started } = JSON.parse(body.toString()) as { started: [string, number][] }
    return new Map(started.filter(([id, owners]) => typeof id === 'string' && Number.isSafeInteger(owners)))
  } catch {
    return new Map()
  }
}

/** Of this message wherever it is fetched; two that differ in nothing are one. */
export function identityOf({ messageId, headers, body }: Delivery): string {
  const named = messageId || headers?.['evt-id'] || headers?.['cloudEvents:id'] || headers?.cloudEvents_id
  return typeof named === 'string' ? named : `sha256:${createHash('sha256').update(body).digest('base64url')}`
}

/** Whether it was fetched before, and came back. */
export const wasFetched = ({ redelivered, headers }: Delivery): boolean =>
  redelivered || Number(headers?.['x-delivery-count'] ?? headers?.['x-acquired-count'] ?? 0) > 0

/** How often a write that is not confirmed looks whether the server takes messages at all. */
const lookMs = 50

export function createStartedMarks(session: Session): StartedMarks {
  let current: { readonly link: Link; readonly channel: Channel } | undefined
  let opening: Promise<void> | undefined

  async function open(): Promise<void> {
    const link = await session.link('publish')
    const channel = await link.channel()
    await within(channel.confirmSelect(), 'ask for confirms')
    current = { link, channel }
  }

  /** False where the server takes no messages. */
  async function write(queue: string, body: Buffer, until: readonly AbortSignal[]): Promise<boolean> {
    if (!current?.channel.active) {
      opening ??= open().finally(() => {
        opening = undefined
      })
      await opening
    }
    if (current === undefined || current.link.blocked !== undefined) return false
    const { link, channel } = current
    const confirmed = channel.basicPublish({ routingKey: queue, durable: true }, body).then(() => true)
    confirmed.catch(() => {})
    for (;;) {
      const ended = new AbortController()
      const isWritten = await Promise.race([confirmed, pause(lookMs, ended.signal, ...until)])
      ended.abort()
      if (isWritten === true) return true
      if (link.blocked !== undefined || until.some(({ aborted }) => aborted)) return false
    }
  }

  return {
    async write(queue, started, { until, onProblem }) {
      const body = Buffer.from(JSON.stringify({ started: [...started] }))
      for (let failures = 0; !until.some(({ aborted }) => aborted); failures++) {
        try {
          await write(queue, body, until)
          return
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
