// What rabbitmq-client keeps to itself and evt needs, in one place: a test fails when a new version of it moves something here.
import { type AsyncMessage, type Channel, Connection, type ConnectionOptions, type Envelope } from 'rabbitmq-client'
import * as codec from 'rabbitmq-client/lib/codec.js'
import { toError } from '../../core/errors.ts'
import { createPublishFrames } from './frames.ts'

/** A message as it came, its body as bytes whatever its content type says. */
export interface Delivery extends Omit<AsyncMessage, 'body'> {
  readonly body: Buffer
  /** `content_type`. */
  readonly mediaType?: string
}

export interface ServerIdentity {
  readonly product: string
  readonly version: string
}

type Read = (bytes: number) => Promise<Buffer>

interface Internals {
  _negotiate(read: Read): Promise<void>
  readonly _opt: { frameMax: number }
  readonly _state: { readonly frameMax: number }
}

/** Knows which server it talks to. A subclass, because the library begins to negotiate inside its constructor. */
class IdentifiedConnection extends Connection {
  declare server: ServerIdentity | undefined

  async _negotiate(read: Read): Promise<void> {
    let reads = 0
    const watched: Read = async (bytes) => {
      const chunk = await read(bytes)
      // First comes what may be a version mismatch, then the head of the greeting, then the greeting.
      if (++reads === 3) this.server = parseGreeting(chunk)
      return chunk
    }
    const self = this as unknown as Internals
    await (Connection.prototype as unknown as Internals)._negotiate.call(self, watched)
    // The library counts the frames of a body by what it asked for, not by what was agreed.
    self._opt.frameMax = self._state.frameMax
  }
}

/** Connects in the background; says so by `connection` or `error`, once: it does not try again by itself. */
export function startConnection(
  options: ConnectionOptions,
): Connection & { readonly server?: ServerIdentity | undefined } {
  const never = 2 ** 31 - 1
  const connection = new IdentifiedConnection({
    frameMax: 131_072,
    noDelay: true,
    retryLow: never,
    retryHigh: never,
    ...options,
  })
  // Without a listener an error would end the process.
  connection.on('error', () => {})
  return connection
}

const closures = new WeakMap<Channel, Error>()

/** Why the server closed the channel, if it did. */
export const closureOf = (channel: Channel): Error | undefined => closures.get(channel)

/** The library tells a channel's error to the connection, which does not know whose it is. */
export function noteClosure(channel: Channel): Channel {
  const { _state } = channel as unknown as { readonly _state: { emitErrors: boolean } }
  _state.emitErrors = true
  channel.on('error', (error: Error) => closures.set(channel, error))
  return channel
}

/** The library parses bodies of JSON and text, which costs digits and bytes: it is kept from knowing their type. */
export function keepBytes(channel: Channel): Channel {
  const internals = channel as unknown as { _onHeader(frame: { readonly fields: Record<string, unknown> }): void }
  const onHeader = internals._onHeader.bind(channel)
  internals._onHeader = (frame) => {
    frame.fields.mediaType = frame.fields.contentType
    frame.fields.contentType = undefined
    onHeader(frame)
  }
  return channel
}

/** Told once; what the library keeps for each unconfirmed message. */
export interface Answer {
  /** The server confirmed it. */
  resolve(): void
  /** The server refused it (`NACK`), it cannot be written (`CODEC`), or the channel ended before an answer. */
  reject(cause: unknown): void
}

const writeBytes = 16 * 1024

interface Publishing {
  readonly _state: {
    readonly maxFrameSize: number
    readonly unconfirmed: Map<number, Answer>
    deliveryCount: number
    readonly stream: { write(frames: Iterator<Buffer>, done: () => void): void }
  }
}

const { genContentFrames } = codec as unknown as {
  genContentFrames(channelId: number, params: object, body: Buffer, frameMax: number): Iterable<Buffer>
}

/**
 * Publishes over a channel with confirms on which nothing else publishes. In the order of the calls; what one turn publishes is written together,
 * and answered by callback, where the library makes four promises and three buffers of each message.
 */
export function createPublishing(channel: Channel): (envelope: Envelope, body: Buffer, answer: Answer) => void {
  const { _state: state } = channel as unknown as Publishing
  const frames = createPublishFrames(channel.id, state.maxFrameSize)
  let isWaiting = false
  const write = (buffers: Iterable<Buffer>) => state.stream.write(buffers[Symbol.iterator](), () => {})

  function flush(): void {
    isWaiting = false
    const buffers = frames.take()
    if (channel.active && buffers.length > 0) write(buffers)
  }

  return (envelope, body, answer) => {
    if (!channel.active) return answer.reject(Object.assign(new Error('channel is closed'), { code: 'CH_CLOSE' }))
    if (frames.add(envelope, body)) {
      state.unconfirmed.set(state.deliveryCount++, answer)
      if (!isWaiting) queueMicrotask(flush)
      isWaiting = true
      // The server has something to do while the rest is encoded.
      if (frames.bytes >= writeBytes) flush()
      return
    }
    try {
      const params = { ...envelope, deliveryMode: envelope.durable ? 2 : 1, rsvp1: 0 }
      const encoded = [...genContentFrames(channel.id, params, body, state.maxFrameSize)]
      state.unconfirmed.set(state.deliveryCount++, answer)
      flush()
      write(encoded)
    } catch (error) {
      answer.reject(Object.assign(toError(error), { code: 'CODEC' }))
    }
  }
}

/** `connection.start`: class, method and version (6 bytes), then a table of the server's properties, texts for the most part. */
function parseGreeting(payload: Buffer): ServerIdentity | undefined {
  const texts = new Map<string, string>()
  try {
    const end = 10 + payload.readUInt32BE(6)
    for (let at = 10; at < end; ) {
      const name = payload.toString('utf8', at + 1, at + 1 + payload.readUInt8(at))
      at += 1 + payload.readUInt8(at)
      const type = String.fromCharCode(payload.readUInt8(at++))
      if (type === 't') at += 1
      else if (type === 'S' || type === 'F') {
        const length = payload.readUInt32BE(at)
        if (type === 'S') texts.set(name, payload.toString('utf8', at + 4, at + 4 + length))
        at += 4 + length
      } else break
    }
  } catch {
    // A greeting that is cut off: what was read counts.
  }
  return { product: texts.get('product') ?? 'a server without a name', version: texts.get('version') ?? '0' }
}
