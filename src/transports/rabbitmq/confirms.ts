import type { Channel, Envelope, ReturnedMessage } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { type Link, within } from './connect.ts'
import { createPublishing } from './driver.ts'
import { codeOf, sizeLimitOf } from './errors.ts'
import type { Session } from './session.ts'

/** In flight, unconfirmed, over all publishes of a transport. */
const mostMessages = 1_000
const mostBytes = 16 * 1024 * 1024

export interface Sending {
  readonly envelope: Envelope
  readonly body: Buffer
}

export type Confirmed =
  /** The server has it, unless it came back: `isReturned`. */
  | { readonly state: 'stored' }
  /** The server has not got it. */
  | { readonly state: 'nacked' }
  /** It was never sent: its headers are more than one frame holds. */
  | { readonly state: 'unfit'; readonly cause: unknown }
  /** No answer: the channel or the connection ended before. */
  | { readonly state: 'open' }

/** A channel that answers for each message, and how much of the window is taken. */
export interface ConfirmChannel {
  readonly link: Link
  hasRoom(bytes: number): boolean
  /** Waits for room in the window, or for the signal, or the end of the channel. */
  room(bytes: number, signal: AbortSignal): Promise<void>
  /**
   * Whether a message that was confirmed had come back as unroutable; asked once for each, a turn after its confirm: the server returns before it
   * confirms, but the library tells of it later.
   */
  isReturned(envelope: Envelope): boolean
  /** Called back once, in any order; a promise a message would cost as much as the message. */
  send(sending: Sending, onConfirmed: (confirmed: Confirmed) => void): void
  /** Why it ended, as far as that is known; the server may mean any message that was in flight. */
  readonly closure: unknown
  /** Bytes of the biggest body that the server takes, once it has refused one; else Infinity. */
  readonly largest: number
  /** Rises with every answer: who waits can tell a slow server from a silent one. */
  readonly answers: number
  /** Gives it up: everything in flight is `open`. */
  abandon(): void
}

/** The server says it when it refuses a message, and then closes the channel. */
const sizeLimits = new WeakMap<Link, number>()

/** The confirm channel of a session: one, so that what is published one after the other stays so. */
export function createConfirms(session: Session): () => Promise<ConfirmChannel> {
  let current: { readonly channel: Channel; readonly confirms: ConfirmChannel } | undefined
  let opening: Promise<ConfirmChannel> | undefined

  async function open(): Promise<ConfirmChannel> {
    const link = await session.link('publish')
    const channel = await link.channel()
    await within(channel.confirmSelect(), 'ask for confirms')
    const confirms = createConfirmChannel(link, channel)
    current = { channel, confirms }
    return confirms
  }

  return async () => {
    if (current?.channel.active) return current.confirms
    opening ??= open().finally(() => {
      opening = undefined
    })
    return opening
  }
}

function createConfirmChannel(link: Link, channel: Channel): ConfirmChannel {
  let messages = 0
  let bytes = 0
  let answers = 0
  let closure: unknown
  const publish = createPublishing(channel)
  const waiting: (() => void)[] = []
  /** What came back as unroutable and is not yet told to its sender, by id and way. */
  const returned = new Map<string, number>()
  const nameOf = ({ messageId, exchange, routingKey }: Envelope | ReturnedMessage) =>
    `${messageId} ${exchange ?? ''} ${routingKey ?? ''}`

  channel.on('basic.return', (message: ReturnedMessage) => {
    const name = nameOf(message)
    returned.set(name, (returned.get(name) ?? 0) + 1)
  })

  /** The library tells one message of it, or the channel, and all others only that it is closed. */
  function noteClosure(cause: unknown): void {
    if (closure === undefined || codeOf(closure) === 'CH_CLOSE') closure = cause
    const limit = sizeLimitOf(cause)
    if (limit !== undefined) sizeLimits.set(link, limit)
  }
  channel.on('error', noteClosure)

  const isFull = (more: number) => messages > 0 && (messages >= mostMessages || bytes + more > mostBytes)

  function free(size: number): void {
    messages--
    bytes -= size
    answers++
    if (waiting.length > 0) for (const wake of waiting.splice(0)) wake()
  }

  return {
    link,
    get closure() {
      return closure
    },
    get largest() {
      return sizeLimits.get(link) ?? Number.POSITIVE_INFINITY
    },
    get answers() {
      return answers
    },
    hasRoom: (size) => !isFull(size),
    isReturned(envelope) {
      if (returned.size === 0) return false
      const name = nameOf(envelope)
      const count = returned.get(name)
      if (count === undefined) return false
      if (count > 1) returned.set(name, count - 1)
      else returned.delete(name)
      return true
    },
    async room(size, signal) {
      while (isFull(size) && channel.active && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const wake = () => {
            signal.removeEventListener('abort', wake)
            resolve()
          }
          waiting.push(wake)
          signal.addEventListener('abort', wake, { once: true })
        })
      }
    },
    send({ envelope, body }, onConfirmed) {
      messages++
      bytes += body.length
      publish(envelope, body, {
        resolve() {
          free(body.length)
          onConfirmed(stored)
        },
        reject(cause) {
          free(body.length)
          const code = codeOf(cause)
          if (code === 'NACK') return onConfirmed(nacked)
          if (code === 'CODEC') return onConfirmed({ state: 'unfit', cause })
          noteClosure(cause)
          onConfirmed(open)
        },
      })
    },
    abandon: () => link.destroy(),
  }
}

const stored: Confirmed = { state: 'stored' }
const nacked: Confirmed = { state: 'nacked' }
const open: Confirmed = { state: 'open' }

export const noAnswer = (ms: number, blocked: string | undefined): EvtError =>
  blocked === undefined
    ? new EvtError('timeout', `RabbitMQ confirmed nothing for ${ms / 1_000} s`, {
        hint: 'a queue without a majority of its nodes confirms nothing: `rabbitmq-diagnostics check_if_node_is_quorum_critical`',
      })
    : new EvtError('timeout', `RabbitMQ takes no messages: ${blocked}`, {
        hint: 'let consumers catch up, or give it memory or disk; evt goes on by itself when it takes messages again',
      })
