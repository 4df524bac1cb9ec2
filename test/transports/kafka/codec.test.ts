import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createReader, createWriter } from '../../../src/transports/kafka/bytes.ts'
import { crc32c } from '../../../src/transports/kafka/crc32c.ts'
import { partitionOf } from '../../../src/transports/kafka/partition.ts'
import {
  createRecordCursor,
  encodeBatch,
  endOfBatches,
  type RawHeader,
  writeContent,
} from '../../../src/transports/kafka/records.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../src/transports/kafka/subscription.ts'
import { offsetOf, readMessage, typeOfMessage, visibleText, writeMessage } from '../../../src/transports/kafka/wire.ts'
import type { Message, Received } from '../../../src/transports/transport.ts'

const producer = { producerId: 7n, epoch: 1, sequence: 5 }

function contentOf(write: (writer: ReturnType<typeof createWriter>) => void): Uint8Array {
  const writer = createWriter()
  write(writer)
  return writer.bytes
}

function readAll(batch: Buffer, from = 0n): Received[] {
  const cursor = createRecordCursor(batch, from, [])
  const messages: Received[] = []
  for (let record = cursor.next(); record !== undefined; record = cursor.next())
    messages.push(readMessage({ topic: 't', partition: 3 }, record))
  return messages
}

const oneBatch = (contents: readonly Uint8Array[]) => encodeBatch(contents, 1_700_000_000_000, producer)
const roundTrip = (message: Message) => readAll(oneBatch([contentOf((writer) => writeMessage(writer, message))]))[0]
const foreign = (key: Uint8Array | null, value: Uint8Array | null, headers: readonly RawHeader[]) =>
  readAll(oneBatch([contentOf((writer) => writeContent(writer, key, value, headers))]))[0]

describe('the partitioner', () => {
  it('chooses as the Java client does, for a thousand keys', () => {
    const vectors: [string, number, number][] = JSON.parse(
      readFileSync(new URL('java-partitions.json', import.meta.url), 'utf8'),
    )
    expect(vectors.length).toBe(1_000)
    const ours = vectors.map(([key]) => [key, partitionOf(Buffer.from(key), 12), partitionOf(Buffer.from(key), 7)])
    expect(ours).toEqual(vectors)
  })
})

describe('batches', () => {
  it('have the checksum of RFC 3720', () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  })

  it('come back as they were, from any offset on', () => {
    const contents = Array.from({ length: 300 }, (_, i) =>
      contentOf((writer) =>
        writeMessage(writer, { id: `i${i}`, key: `k${i}`, headers: {}, body: Buffer.from([i & 255]) }),
      ),
    )
    const batch = oneBatch(contents)
    expect(endOfBatches(batch)).toBe(300n)
    expect(readAll(batch).map(({ id, at }) => `${id} ${at}`)).toEqual(contents.map((_, i) => `i${i} 3:${i}`))
    expect(readAll(batch, 298n).map(({ id }) => id)).toEqual(['i298', 'i299'])
  })

  it('that compaction emptied or thinned out have no messages for what is gone, and end where they ended', () => {
    const content = contentOf((writer) =>
      writeMessage(writer, { id: 'a', key: 'k', headers: {}, body: new Uint8Array() }),
    )
    const [emptied, whole] = [oneBatch(Array(10).fill(content)), oneBatch([content])]
    // Count 0; and a batch whose last record was offset 5 of it.
    emptied.writeInt32BE(0, 57)
    whole.writeBigInt64BE(20n, 0)
    whole.writeInt32BE(5, 23)
    const both = Buffer.concat([emptied, whole])
    expect(endOfBatches(both)).toBe(26n)
    const cursor = createRecordCursor(both, 3n, [])
    expect(cursor.next()?.offset).toBe(20n)
    expect(cursor.position).toBe(21n)
    expect(cursor.next()).toBeUndefined()
    expect(cursor.position).toBe(26n)
  })

  it('that are cut off are left for the next fetch', () => {
    const batch = oneBatch([
      contentOf((writer) => writeMessage(writer, { id: 'a', key: null, headers: {}, body: new Uint8Array(9) })),
    ])
    for (let length = 0; length < batch.length; length++) {
      expect(endOfBatches(batch.subarray(0, length))).toBeUndefined()
      expect(readAll(batch.subarray(0, length))).toEqual([])
    }
  })

  it('that are damaged throw and are skipped, and never hang', () => {
    const batch = oneBatch(
      Array.from({ length: 5 }, () =>
        contentOf((writer) =>
          writeMessage(writer, { id: 'a', key: 'k', headers: { h: 'v' }, body: new Uint8Array(20) }),
        ),
      ),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 21, max: batch.length - 1 }), fc.nat(255)), { maxLength: 8 }),
        (changes) => {
          const damaged = Buffer.from(batch)
          for (const [at, byte] of changes) damaged[at] = byte
          const cursor = createRecordCursor(Buffer.concat([damaged, batch]), 0n, [])
          let errors = 0
          for (let reads = 0; reads < 5_000; reads++) {
            try {
              const record = cursor.next()
              if (record === undefined) return true
              readMessage({ topic: 't', partition: 0 }, record)
            } catch {
              errors++
              cursor.skipBatch()
            }
          }
          return errors < 3
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('messages', () => {
  it('keep id, key, headers, body and log position', () => {
    fc.assert(
      fc.property(
        fc.record({
          id: fc.string({ minLength: 1, unit: 'binary' }).filter((id) => id.isWellFormed()),
          key: fc.option(fc.string({ unit: 'binary' }).filter((key) => key.isWellFormed())),
          other: fc.dictionary(
            fc.string({ minLength: 1 }).filter((name) => !/^(?:ce[_-]|evt-)/.test(name)),
            fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\ufffd')),
          ),
          body: fc.uint8Array(),
          log: fc.option(fc.bigInt({ min: 1n, max: 2n ** 62n }), { nil: undefined }),
          logId: fc.option(fc.constantFrom('3f2a/orders', 'ü/%'), { nil: undefined }),
        }),
        ({ id, key, other, body, log, logId }) => {
          const headers = { 'content-type': 'application/json', 'ce-id': encodeURIComponent(id), ...other }
          const got = roundTrip({
            id,
            key,
            headers,
            body,
            ...(log !== undefined && { log }),
            ...(logId !== undefined && { logId }),
          })
          expect(got).toMatchObject({ id, key, topic: 't', at: '3:0', deliveries: 1 })
          expect({ ...got?.headers, 'ce-id': decodeURIComponent(got?.headers['ce-id'] ?? '') }).toEqual({
            ...headers,
            'ce-id': id,
          })
          expect([...(got?.body ?? [])]).toEqual([...body])
          expect(got?.log).toBe(log)
          expect(got?.logId).toBe(log === undefined ? undefined : logId)
        },
      ),
    )
  })

  it('carry CloudEvents attributes as Kafka has them, and as HTTP has them inside', () => {
    const headers = { 'ce-id': '1', 'ce-type': 'gr%C3%B6%C3%9Fe.100%25', 'content-type': 'text/plain' }
    const content = contentOf((writer) => writeMessage(writer, { id: '1', key: null, headers, body: new Uint8Array() }))
    expect(Buffer.from(content).toString()).toContain('ce_type')
    expect(Buffer.from(content).toString()).toContain('größe.100%')
    expect(roundTrip({ id: '1', key: null, headers, body: new Uint8Array() })?.headers).toEqual(headers)
  })

  it('that are structured CloudEvents keep their bytes and are known by id and type', () => {
    const value = Buffer.from('{"id":"e1","type":"a.b","source":"x","specversion":"1.0"}')
    const got = foreign(null, value, [{ name: 'content-type', value: Buffer.from('application/cloudevents+json') }])
    expect(got?.id).toBe('e1')
    expect(got && typeOfMessage(got)).toBe('a.b')
    expect(Buffer.from(got?.body ?? []).equals(value)).toBe(true)
    const broken = foreign(null, Buffer.from('{"id":'), [
      { name: 'content-type', value: Buffer.from('application/cloudevents+json') },
    ])
    expect(broken?.id).toBe('t@3:0')
  })

  it('show what is no UTF-8 in keys and headers', () => {
    const got = foreign(Buffer.from([0x6b, 0x80]), null, [
      { name: 'odd', value: Buffer.from([0x61, 0xff, 0xc3]) },
      { name: 'none', value: null },
      { name: '__proto__', value: Buffer.from('x') },
    ])
    expect(got).toMatchObject({ id: 't@3:0', key: 'k\\x80' })
    expect(Object.entries(got?.headers ?? {})).toEqual([
      ['odd', 'a\\xff\\xc3'],
      ['none', ''],
      ['__proto__', 'x'],
    ])
    expect(got?.body.length).toBe(0)
    expect(visibleText(Buffer.from('a\ufffdb'))).toBe('a\ufffdb')
  })

  it('name their offset', () => {
    expect(offsetOf({ at: '12:9223372036854775807' })).toBe(9223372036854775807n)
  })
})

describe('what members tell each other', () => {
  const places = [
    { topic: 'a', partition: 1 },
    { topic: 'a', partition: 3 },
    { topic: 'b', partition: 0 },
  ]

  it('comes back as it was', () => {
    const subscription = { topics: ['a', 'b'], owned: places, generation: 12, isClaiming: false }
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
    expect(decodeAssignment(encodeAssignment(places))).toEqual(places)
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([])
  })

  it('that counts more than it holds is refused before anything is made for so many', () => {
    const writer = createWriter()
    writer.int16(0)
    writer.int32(2 ** 24)
    writer.int32(0)
    for (const decode of [decodeAssignment, decodeSubscription])
      expect(() => decode(writer.bytes)).toThrow('a list goes past the end')
  })

  it('of the first version of Java clients has nothing owned', () => {
    const writer = createWriter()
    writer.int16(0)
    writer.int32(1)
    writer.string('a')
    writer.int32(-1)
    expect(decodeSubscription(writer.bytes)).toEqual({ topics: ['a'], owned: [], generation: -1, isClaiming: true })
  })
})

describe('numbers', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => {
        const writer = createWriter(1)
        writer.varint(value)
        writer.int32(value)
        const reader = createReader(writer.bytes)
        return reader.varint() === value && reader.int32() === value && reader.left === 0
      }),
    )
  })
})
