import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checksumOf } from '../../src/core/checksum.ts'
import {
  encodeEvent,
  encodeWithText,
  fromCloudEvent,
  fromHeaders,
  toCloudEvent,
  toHeaders,
} from '../../src/core/codec.ts'
import { EvtError } from '../../src/core/errors.ts'
import { type EvtEvent, maxDataDepth } from '../../src/core/event.ts'
import { compilePattern } from '../../src/core/pattern.ts'
import { anyEvent } from './events.ts'
import { anyText } from './texts.ts'

const plain: EvtEvent = {
  id: 'e1',
  type: 'user.created',
  version: 1,
  source: 'icons',
  time: '2025-08-23T10:00:00.000Z',
  priority: 'normal',
  metadata: {},
  data: { plan: 'pro' },
}

function refusal(change: object): EvtError {
  try {
    encodeEvent({ ...plain, ...change })
  } catch (error) {
    if (error instanceof EvtError) return error
    throw error
  }
  throw new Error('it was encoded')
}

function accepts(call: () => unknown): boolean {
  try {
    call()
    return true
  } catch (error) {
    if (error instanceof EvtError) return false
    throw error
  }
}

describe('encodeEvent', () => {
  test('fixes the bytes of data and the checksum over them', () => {
    const encoded = encodeEvent(plain)
    expect(encoded.dataText).toBe('{"plan":"pro"}')
    expect(encoded.checksum).toBe(checksumOf('{"plan":"pro"}'))
  })

  test('changes what JSON cannot say, as documented', () => {
    const data = { gone: undefined, zero: -0, nan: Number.NaN, at: new Date(0) }
    expect(encodeEvent({ ...plain, data }).dataText).toBe('{"zero":0,"nan":null,"at":"1970-01-01T00:00:00.000Z"}')
    expect(encodeEvent({ ...plain, data: undefined }).dataText).toBe('null')
  })

  test('keeps the bytes of data that are fixed already', () => {
    const dataText = '{"n": 12345678901234567890, "x": 1.0}'
    const encoded = encodeWithText({ ...plain, data: JSON.parse(dataText) }, dataText)
    expect(encoded).toMatchObject({ dataText, checksum: checksumOf(dataText) })
  })

  test('refuses data nested deeper than its readers can walk, and says how deep', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
    expect(encodeEvent({ ...plain, data: JSON.parse(nested(maxDataDepth)) }).dataText).toBe(nested(maxDataDepth))
    for (const levels of [maxDataDepth + 1, 5_000, 100_000]) {
      const data = JSON.parse(nested(levels)) as unknown
      const error = refusal({ data })
      expect(error).toMatchObject({ code: 'contract', message: expect.stringContaining('deeper than 1,000 levels') })
      expect(() => encodeWithText({ ...plain, data }, nested(levels))).toThrow(error.message)
    }
  })

  test.each(['a b', 'a.*', '*', '.x', 'x.', 'a..b', '{a,b}', 'a,b', 'a\tb', "it's", 'x?', `a.${'b'.repeat(1_000)}`])(
    'refuses the type %j, which no pattern could name',
    (type) => {
      const error = refusal({ type })
      expect(error).toMatchObject({ code: 'contract', message: expect.stringContaining(': type ') })
      expect(error.hint).toContain('user.created')
    },
  )

  test.each(['user.created', 'com.example/Order:created-v1', 'a', 'Größe_1.done@2', 'x.+#&$~'])(
    'takes the type %j, and a pattern names it',
    (type) => {
      expect(encodeEvent({ ...plain, type }).type).toBe(type)
      expect(compilePattern(type).matches(type)).toBe(true)
    },
  )

  test('takes a type of 255 characters, and says of a longer one that it is', () => {
    const longest = '😀'.repeat(255)
    expect(encodeEvent({ ...plain, type: longest }).type).toBe(longest)
    expect(refusal({ type: `${longest}x` }).message).toContain('type is longer than 255 characters')
  })

  test('takes a type exactly when it is a pattern that names itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), anyText(), fc.stringMatching(/^[a-c.*{},]{1,6}$/)), (type) => {
        const named = accepts(() => compilePattern(type)) && !/[*{},]/.test(type)
        return named === accepts(() => encodeEvent({ ...plain, type }))
      }),
      { numRuns: 1_000 },
    )
  })

  test('brings the time to UTC', () => {
    expect(encodeEvent({ ...plain, time: '2025-08-23T12:00:00+02:00' }).time).toBe('2025-08-23T10:00:00.000Z')
  })

  test.each([
    ['id', { id: '' }],
    ['id', { id: 'x'.repeat(256) }],
    ['type', { type: '' }],
    ['source', { source: 'a\0b' }],
    ['subject', { subject: 'user/\0' }],
    ['tenant', { tenant: '\ud800' }],
    ['actor.userId', { actor: { userId: 'a\0' } }],
    ['correlationId', { correlationId: '\0' }],
    ['version', { version: 0 }],
    ['sequence', { sequence: 1.5 }],
    ['time', { time: 'yesterday' }],
    ['priority', { priority: 'urgent' }],
    ['metadata.nested', { metadata: { nested: {} } }],
    ['metadata.count', { metadata: { count: Number.NaN } }],
    ['data', { data: 10n }],
    ['data', { data: () => 1 }],
  ])('refuses a bad %s and names it', (field, change) => {
    const error = refusal(change)
    expect(error.code).toBe('contract')
    expect(error.message).toContain(`: ${field} `)
  })

  test('refuses data that refers to itself', () => {
    const data: Record<string, unknown> = {}
    data.self = data
    expect(refusal({ data }).message).toContain('data is no JSON')
  })

  test('allows U+0000 in data and metadata, where JSON escapes it', () => {
    const encoded = encodeEvent({ ...plain, data: '\0', metadata: { odd: 'a\0' } })
    expect(encoded.dataText).toBe('"\\u0000"')
    expect(fromHeaders(toHeaders(encoded), encoded.dataText).metadata).toEqual({ odd: 'a\0' })
  })
})

describe('decoding what was encoded gives the same event', () => {
  test('in structured mode, over JSON text', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        const { dataText: _, ...encoded } = encodeEvent(event)
        const decoded = fromCloudEvent(JSON.parse(JSON.stringify(toCloudEvent(encoded))))
        // Vitest's own equality stumbles over data with a key named constructor.
        return isDeepStrictEqual(decoded, encoded)
      }),
      { numRuns: 300 },
    )
  })

  test('in binary mode, with a verified checksum', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        const { dataText, ...encoded } = encodeEvent(event)
        const headers = toHeaders(encoded)
        for (const value of Object.values(headers)) expect(value).toMatch(/^[!-~]*$/)
        const decoded = fromHeaders(headers, Buffer.from(dataText), { verify: true })
        return isDeepStrictEqual({ ...decoded }, { ...encoded })
      }),
      { numRuns: 300 },
    )
  })

  test('pollutes no prototype', () => {
    const data = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}') as unknown
    const metadata = JSON.parse('{"__proto__":"x"}') as Record<string, string>
    const { dataText, ...encoded } = encodeEvent({ ...plain, data, metadata })
    const decoded = fromHeaders(toHeaders(encoded), dataText)
    expect(Object.keys(decoded.metadata)).toEqual(['__proto__'])
    expect(Object.keys(decoded.data as object)).toEqual(['__proto__', 'constructor'])
    const foreign = fromCloudEvent(JSON.parse(JSON.stringify(toCloudEvent(plain)).replace('{', '{"__proto__":"x",')))
    expect(Object.keys(foreign.metadata)).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})
