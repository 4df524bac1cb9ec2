// `basic.publish` and its content in AMQP 0-9-1's frames, as the library makes them, but many messages in one buffer: a buffer, a promise and a
// system call for each frame would cost more than all the rest.
//
//   method   1, channel (2 bytes), size (4) · class 60, method 40, 0 (2), exchange, routing key, 1 mandatory · 206
//   header   2, channel, size · class 60, 0 (2), size of the body (8), which properties (2), those in order · 206
//   body     3, channel, size · at most what was agreed · 206
import type { Envelope } from 'rabbitmq-client'

const chunkBytes = 64 * 1024
const frameEnd = 206
const none = Buffer.alloc(0)
/** Everything of a message but its texts and its body, generously. */
const fixedBytes = 256

export interface PublishFrames {
  /** False for what it does not know (headers that are no texts or times, rare properties): then nothing was added. */
  add(envelope: Envelope, body: Buffer): boolean
  /** How much was added since the last time. */
  readonly bytes: number
  /** What was added since the last time, in order. */
  take(): Buffer[]
}

export function createPublishFrames(channelId: number, frameMax: number): PublishFrames {
  let chunk: Buffer = none
  let from = 0
  let at = 0
  let full: Buffer[] = []
  let fullBytes = 0

  function makeRoom(bytes: number): void {
    if (at + bytes <= chunk.length) return
    if (at > from) full.push(chunk.subarray(from, at))
    fullBytes += at - from
    chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes))
    from = 0
    at = 0
  }

  /** Returns where its size is written when it is known. */
  function begin(type: number): number {
    chunk[at] = type
    chunk.writeUInt16BE(channelId, at + 1)
    at += 7
    return at
  }

  function end(start: number): void {
    chunk.writeUInt32BE(at - start, start - 4)
    chunk[at++] = frameEnd
  }

  function short(text: string): void {
    const bytes = chunk.write(text, at + 1, 255)
    chunk[at] = bytes
    at += bytes + 1
  }

  function long(value: number): void {
    chunk.writeUInt32BE(Math.floor(value / 2 ** 32), at)
    chunk.writeUInt32BE(value >>> 0, at + 4)
    at += 8
  }

  function table(headers: Readonly<Record<string, unknown>>): void {
    const start = at
    at += 4
    for (const name of Object.keys(headers)) {
      const value = headers[name]
      if (value === undefined) continue
      short(name)
      if (typeof value === 'string') {
        chunk[at] = 0x53
        const bytes = chunk.write(value, at + 5)
        chunk.writeUInt32BE(bytes, at + 1)
        at += bytes + 5
      } else {
        chunk[at++] = 0x6c
        long(value as number)
      }
    }
    chunk.writeUInt32BE(at - start - 4, start)
  }

  function properties(envelope: Envelope): void {
    const { contentType, headers, correlationId, messageId, timestamp, type, appId } = envelope
    const flagsAt = at
    let flags = 0x1000
    at += 2
    if (contentType !== undefined) {
      flags |= 0x8000
      short(contentType)
    }
    if (headers !== undefined) {
      flags |= 0x2000
      table(headers)
    }
    chunk[at++] = envelope.durable ? 2 : 1
    if (correlationId !== undefined) {
      flags |= 0x0400
      short(correlationId)
    }
    if (messageId !== undefined) {
      flags |= 0x0080
      short(messageId)
    }
    if (timestamp !== undefined) {
      flags |= 0x0040
      long(timestamp)
    }
    if (type !== undefined) {
      flags |= 0x0020
      short(type)
    }
    if (appId !== undefined) {
      flags |= 0x0008
      short(appId)
    }
    chunk.writeUInt16BE(flags, flagsAt)
  }

  function add(envelope: Envelope, body: Buffer): boolean {
    const bytes = headBytes(envelope)
    if (bytes === undefined || bytes > frameMax) return false
    makeRoom(bytes + body.length + 8 * Math.ceil(body.length / (frameMax - 8)))
    const method = begin(1)
    chunk.writeUInt32BE(0x003c0028, at)
    chunk.writeUInt16BE(0, at + 4)
    at += 6
    short(envelope.exchange ?? '')
    short(envelope.routingKey ?? '')
    chunk[at++] = envelope.mandatory ? 1 : 0
    end(method)
    const header = begin(2)
    chunk.writeUInt32BE(0x003c0000, at)
    at += 4
    long(body.length)
    properties(envelope)
    end(header)
    for (let done = 0; done < body.length; done += frameMax - 8) {
      const start = begin(3)
      at += body.copy(chunk, at, done, done + frameMax - 8)
      end(start)
    }
    return true
  }

  return {
    add,
    get bytes() {
      return fullBytes + at - from
    },
    take() {
      if (at > from) full.push(chunk.subarray(from, at))
      from = at
      // A big body's is not kept for the next one.
      if (chunk.length > chunkBytes) {
        chunk = none
        from = 0
        at = 0
      }
      const taken = full
      full = []
      fullBytes = 0
      return taken
    },
  }
}

/** An upper bound; undefined for what is not known here. */
function headBytes(envelope: Envelope): number | undefined {
  const { exchange = '', routingKey = '', contentType, correlationId, messageId, type, appId, headers } = envelope
  const { contentEncoding, priority, replyTo, expiration, userId, immediate } = envelope
  if ((contentEncoding ?? priority ?? replyTo ?? expiration ?? userId ?? immediate) !== undefined) return undefined
  let length = exchange.length + routingKey.length
  for (const text of [contentType, correlationId, messageId, type, appId]) length += text?.length ?? 0
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'string') length += name.length + value.length + 2
    else if (value === undefined || isLong(value)) length += name.length + 3
    else return undefined
  }
  // Three bytes of UTF-8 for a unit of UTF-16 at most.
  return fixedBytes + 3 * length
}

/** As the library: what is smaller has a smaller type. */
const isLong = (value: unknown): boolean => typeof value === 'number' && Number.isSafeInteger(value) && value >= 2 ** 31
