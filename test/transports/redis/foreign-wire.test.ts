import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { compareIds, firstId, idBefore, lastPossibleId, timeOfId } from '../../../src/transports/redis/entry-id.ts'
import { decodeForeign, encodeForeign } from '../../../src/transports/redis/foreign-wire.ts'
import { decodeLetter } from '../../../src/transports/redis/grave.ts'
import { toReceived } from '../../../src/transports/redis/received.ts'

const buffers = (fields: readonly (string | Buffer)[]) => fields.map((field) => Buffer.from(field as string))
const decode = (...fields: readonly (string | Buffer)[]) => {
  const { body, ...message } = decodeForeign('orders', '5-0', buffers(fields))
  return { ...message, body: Buffer.from(body).toString() }
}

describe('an entry of somebody else', () => {
  it.each([
    [['data', '{"a":1}'], { id: 'orders@5-0', key: null, headers: {}, body: '{"a":1}' }],
    [['payload', 'plain text'], { body: '{"payload":"plain text"}' }],
    [['value', '{"a":1}'], { body: '{"value":"{\\"a\\":1}"}' }],
    [
      ['event_id', 'e7', 'event_type', 'user.created', 'user_id', '12'],
      { id: 'e7', body: '{"event_id":"e7","event_type":"user.created","user_id":"12"}' },
    ],
    [['event_id', '', 'a', ''], { id: 'orders@5-0', body: '{"event_id":"","a":""}' }],
    [['id', 'user-5', 'action', 'update'], { id: 'orders@5-0' }],
    [['', ''], { body: '{"":""}' }],
    [['__proto__', 'x', 'constructor', 'y'], { body: '{"__proto__":"x","constructor":"y"}' }],
    [['a', '1', 'a', '2'], { body: '{"a":"2"}' }],
    [[Buffer.from([0xff, 0x41]), Buffer.from([0xc3, 0x28, 0x00])], { body: '{"\\\\xffA":"\\\\xc3(\\\\x00"}' }],
    [
      ['ce_id', 'e1', 'ce-Type', 'a.b', 'ce_subject', 's/1', 'content-type', 'application/json', 'data', '{}'],
      {
        id: 'e1',
        key: 's/1',
        headers: { 'ce-id': 'e1', 'ce-type': 'a.b', 'ce-subject': 's/1', 'content-type': 'application/json' },
        body: '{}',
      },
    ],
    [['ce-id', 'e1', 'other', 'x'], { id: 'e1', headers: {}, body: '{"ce-id":"e1","other":"x"}' }],
  ])('%j', (fields, message) => {
    expect(decode(...fields)).toMatchObject(message)
  })

  it('with bytes that are no text in a lone field is these bytes', () => {
    const { body } = decodeForeign('s', '1-0', buffers(['data', Buffer.from([0xff, 0x00])]))
    expect([...body]).toEqual([0xff, 0x00])
  })
})

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
const names = fc
  .constantFrom('evt', 'body', 'dead', 'data', 'ce-id', 'error', 'attempts', 'failed_at')
  .map((name) => Buffer.from(name))
const texts = fc
  .constantFrom('{"id":"x","headers":{"a":1}}', '{"headers":{}}', '{"id":"1","headers":["x"]}', '{}', '[', '1e999')
  .map((text) => Buffer.from(text))
const fields = fc.array(fc.oneof(bytes, names, texts), { maxLength: 10 })

test('whatever bytes an entry has, it becomes a message with text headers, the same one each time', () => {
  fc.assert(
    fc.property(fields, (some) => {
      const entry = [Buffer.from('5-0'), some] as const
      const one = toReceived('t', 's', entry, 1)
      expect(Object.values(one.headers).every((value) => typeof value === 'string')).toBe(true)
      expect(toReceived('t', 's', entry, 1)).toEqual(one)
      expect(() => decodeLetter('s:dlq', 's', '5-0', some)).not.toThrow()
    }),
    { numRuns: 2_000 },
  )
})

test('what was decoded is encoded into fields that decode to the same', () => {
  const texts = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.string()), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(texts, (pairs) => {
      const message = decodeForeign('s', '1-0', buffers(pairs.flat()))
      const again = decodeForeign('s', '1-0', buffers(encodeForeign(message)))
      expect(Buffer.from(again.body)).toEqual(Buffer.from(message.body))
      expect(again.headers).toEqual(message.headers)
    }),
    { numRuns: 1_000 },
  )
})

test('ids order as the server orders them', () => {
  const id = fc.tuple(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n))
  const asNumber = ([ms, n]: readonly [bigint, bigint]) => (ms << 64n) | n
  const asText = ([ms, n]: readonly [bigint, bigint]) => `${ms}-${n}`
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [x, y] = [asNumber(a), asNumber(b)]
      expect(Math.sign(compareIds(asText(a), asText(b)))).toBe(x < y ? -1 : x > y ? 1 : 0)
      if (x > 0n) {
        const [ms = '', n = ''] = idBefore(asText(a)).split('-')
        expect(asNumber([BigInt(ms), BigInt(n)])).toBe(x - 1n)
      }
    }),
  )
  expect(idBefore(firstId)).toBe(firstId)
  expect(timeOfId('1763726400000-5')).toBe(1_763_726_400_000)
  expect(timeOfId(lastPossibleId)).toBeUndefined()
})
