import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rangeOfIds } from '../../../src/transports/redis/id-range.ts'
import { pack } from '../../../src/transports/redis/pack.ts'
import { formatPlace, idAt, logAt, parsePlace, placeAt } from '../../../src/transports/redis/position.ts'
import { decodeOurs, encodeMeta } from '../../../src/transports/redis/wire.ts'

const headers = fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme' }))
const message = fc.record({
  id: fc.string({ minLength: 1, unit: 'grapheme' }),
  key: fc.option(fc.string({ unit: 'grapheme' })),
  headers,
  body: fc.uint8Array(),
})
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)
const entry = (meta: string, body: Uint8Array) => ['evt', meta, 'body', body].map((part) => Buffer.from(part as string))

describe('a message in a stream entry', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(decodeOurs(entry(encodeMeta(one), one.body))).toEqual({ ...one, body: Buffer.from(one.body) })
      }),
    )
  })

  it('keeps its log position and the one before it, and leaves out what its headers say', () => {
    const id = 'e1'
    const one = {
      id,
      key: 's/1',
      headers: { 'ce-id': id, 'ce-subject': 's/1' },
      body: Buffer.from('{}'),
      log: 2n ** 62n,
    }
    const meta = encodeMeta(one, 7n)
    expect(meta).toBe('{"log":"4611686018427387904","prev":"7","headers":{"ce-id":"e1","ce-subject":"s/1"}}')
    expect(decodeOurs(entry(meta, one.body))).toEqual({ ...one, prev: 7n })
    expect(decodeOurs(entry(encodeMeta(one), one.body))?.log).toBeUndefined()
  })

  it('keeps a key of null beside a subject', () => {
    const one = { id: '1', key: null, headers: { 'ce-subject': 's' }, body: Buffer.alloc(0) }
    expect(decodeOurs(entry(encodeMeta(one), one.body))?.key).toBeNull()
  })

  it.each([
    ['nothing', []],
    ['another field', ['data', '{}']],
    ['no JSON', ['evt', '{', 'body', '']],
    ['no object', ['evt', '[]', 'body', '']],
    ['null', ['evt', 'null', 'body', '']],
    ['no id', ['evt', '{"headers":{}}', 'body', '']],
    ['an odd log position', ['evt', '{"id":"1","log":"-1","prev":"0","headers":{}}', 'body', '']],
    ['a number for a log position', ['evt', '{"id":"1","log":1,"prev":0,"headers":{}}', 'body', '']],
    ['no body', ['evt', '{"id":"1","headers":{}}']],
  ])('is not ours with %s', (_, fields) => {
    expect(decodeOurs(fields.map((field) => Buffer.from(field)))).toBeUndefined()
  })
})

describe('a place in a lane', () => {
  it('is written and read, and orders by id, then by log position', () => {
    fc.assert(
      fc.property(fc.tuple(u64, u64, u64), fc.tuple(u64, u64, u64), (a, b) => {
        const [x, y] = [a, b].map(([ms, n, log]) => placeAt(`${ms}-${n}`, log)) as [bigint, bigint]
        expect(parsePlace(formatPlace(x))).toBe(x)
        expect([idAt(x), logAt(x)]).toEqual([`${a[0]}-${a[1]}`, a[2]])
        const different = a.findIndex((part, i) => part !== b[i])
        expect(x < y).toBe(different >= 0 && (a[different] ?? 0n) < (b[different] ?? 0n))
      }),
    )
  })
})

describe('packed parts', () => {
  it('are a MessagePack array of strings, each with its length in bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array())), (parts) => {
        const packed = pack(parts)
        expect([packed[0], packed.readUInt32BE(1)]).toEqual([0xdd, parts.length])
        let at = 5
        for (const part of parts) {
          const bytes = Buffer.from(part as string)
          expect([packed[at], packed.readUInt32BE(at + 1)]).toEqual([0xdb, bytes.length])
          expect(packed.subarray(at + 5, at + 5 + bytes.length).equals(bytes)).toBe(true)
          at += 5 + bytes.length
        }
        expect(at).toBe(packed.length)
      }),
    )
  })
})

describe('the range of ids', () => {
  const range = (...ids: string[]) => rangeOfIds(ids.map((id) => ({ id })))
  const [low, middle, high] = ['0', '7', 'f'].map((digit) => `01936b2e-7c00-7000-8000-00000000000${digit}`) as [
    string,
    string,
    string,
  ]

  it('is that of a batch of UUIDs, in any order', () => {
    expect(range()).toMatchObject({ least: '', greatest: '' })
    expect(range(middle)).toMatchObject({ least: middle, greatest: middle })
    expect(range(middle, high, low)).toMatchObject({ least: low, greatest: high })
  })

  it('has no least one where some id is none, or written in another way', () => {
    for (const other of ['e1', '', `${low} `, low.toUpperCase(), low.replaceAll('-', ''), `${low}\n`])
      expect(range(other, middle, low)).toMatchObject({ least: '', greatest: middle })
  })

  it('is a run where each of more than a few is greater than the one before it', () => {
    const ids = Array.from({ length: 8 }, (_, i) => low.replace(/0$/, String(i)))
    expect(range(...ids).run).toBe(ids.toReversed().join(' '))
    for (const other of [
      ids.slice(1),
      ids.toReversed(),
      [...ids, middle],
      ['e1', ...ids],
      [...ids, high.toUpperCase()],
    ])
      expect(range(...other).run).toBe('')
  })
})
