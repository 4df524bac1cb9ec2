import fc from 'fast-check'
import type { Envelope } from 'rabbitmq-client'
import * as codec from 'rabbitmq-client/lib/codec.js'
import { expect, it } from 'vitest'
import { createPublishFrames } from '../../../src/transports/rabbitmq/frames.ts'

const frameMax = 4_096
const { genContentFrames } = codec as unknown as {
  genContentFrames(channelId: number, params: object, body: Buffer, frameMax: number): Iterable<Buffer>
}

const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 60 }))
const headers = fc.dictionary(text, fc.oneof(text, fc.integer({ min: 2 ** 31, max: Number.MAX_SAFE_INTEGER })))
const message = fc.record(
  {
    exchange: text,
    routingKey: text,
    mandatory: fc.boolean(),
    durable: fc.boolean(),
    contentType: text,
    correlationId: text,
    messageId: text,
    timestamp: fc.nat({ max: 2 ** 40 }),
    type: text,
    appId: text,
    headers: headers.map((table) => ({ ...table })),
  },
  { requiredKeys: ['timestamp'] },
)

it('writes the frames that the library writes, many messages in one run of bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(message, fc.uint8Array({ maxLength: 300 })), { maxLength: 20 }), (messages) => {
      const frames = createPublishFrames(7, frameMax)
      const expected: Buffer[] = []
      for (const [envelope, bytes] of messages) {
        const body = Buffer.from(bytes)
        if (!frames.add(envelope as Envelope, body)) continue
        const params = { ...envelope, deliveryMode: envelope.durable ? 2 : 1, rsvp1: 0 }
        expected.push(...genContentFrames(7, params, body, frameMax))
      }
      expect(Buffer.concat(frames.take()).toString('hex')).toBe(Buffer.concat(expected).toString('hex'))
      expect(frames.take()).toEqual([])
    }),
  )
})

it('cuts a body into frames of the agreed size', () => {
  const frames = createPublishFrames(7, frameMax)
  const body = Buffer.alloc(200_000, 'x')
  expect(frames.add({ routingKey: 'q', messageId: 'm' }, body)).toBe(true)
  const written = Buffer.concat(frames.take())
  const sizes: number[] = []
  for (let at = 0; at < written.length; at += sizes.at(-1) ?? 0) {
    sizes.push(written.readUInt32BE(at + 3) + 8)
    expect(written[at + (sizes.at(-1) ?? 0) - 1]).toBe(206)
  }
  expect(sizes.slice(2).reduce((sum, size) => sum + size - 8, 0)).toBe(200_000)
  expect(Math.max(...sizes)).toBe(frameMax)
})

it.each<[string, Envelope]>([
  ['numbers of other sizes', { headers: { n: 3 } }],
  ['tables', { headers: { t: { a: 1 } } }],
  ['properties that evt does not set', { replyTo: 'q' }],
  ['more headers than a frame holds', { headers: { big: 'x'.repeat(frameMax) } }],
])('leaves %s to the library', (_, envelope) => {
  const frames = createPublishFrames(7, frameMax)
  expect(frames.add(envelope, Buffer.from('x'))).toBe(false)
  expect(frames.take()).toEqual([])
})
