import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeEvent,
  formatCloudEvent,
  fromCloudEvent,
  fromHeaders,
  toCloudEvent,
  toHeaders,
} from '../../../src/core/codec.ts'
import { EvtError } from '../../../src/core/errors.ts'
import { anyEvent } from '../events.ts'

const minimal = { specversion: '1.0', id: 'e1', type: 'a.b', source: '/s', time: '2025-08-23T10:00:00Z' }

function problem(value: unknown): string {
  try {
    fromCloudEvent(value)
  } catch (error) {
    if (error instanceof EvtError && error.code === 'decode') return error.message
    throw error
  }
  throw new Error('it was decoded')
}

describe('the official CloudEvents SDK', () => {
  // The SDK, as the specification, has no empty attributes; we keep them between ourselves.
  // Nor does it have sources that are no URI reference: that name is the publisher's choice.
  const presentable = fc
    .tuple(anyEvent(), fc.oneof(fc.webUrl(), fc.constantFrom('icons', 'urn:x:y', '/a/b')))
    .map(([event, source]) => ({ ...event, source }))
    .filter((event) => event.subject !== '' && JSON.stringify(toCloudEvent(event)).indexOf(':""') < 0)

  test('accepts what we write in structured mode and says the same', () => {
    fc.assert(
      fc.property(presentable, (event) => {
        const structured = toCloudEvent(encodeEvent(event))
        const sdk = new CloudEvent(JSON.parse(JSON.stringify(structured)) as object)
        expect(sdk.validate()).toBe(true)
        expect(sdk.id).toBe(event.id)
        expect(sdk.subject).toBe(event.subject)
        expect(sdk.data).toEqual(event.data)
        expect(sdk.correlationid).toBe(event.correlationId)
        expect(sdk.time).toBe(event.time)
      }),
      { numRuns: 150 },
    )
  })

  test('writes structured mode that we read', () => {
    const sdk = new CloudEvent({
      ...minimal,
      subject: 'user/1',
      data: { n: 1 },
      partitionkey: 'p',
      evtversion: 3,
      hot: true,
    })
    const event = fromCloudEvent(JSON.parse(String(HTTP.structured(sdk).body)))
    expect(event).toEqual({
      ...{ id: 'e1', type: 'a.b', source: '/s', subject: 'user/1', time: '2025-08-23T10:00:00.000Z' },
      ...{ version: 3, priority: 'normal', metadata: { partitionkey: 'p', hot: true }, data: { n: 1 } },
    })
  })

  test('writes binary mode that we read', () => {
    const sdk = new CloudEvent({ ...minimal, subject: 'user/1', data: { n: 1 }, partitionkey: 'p' })
    const { headers, body } = HTTP.binary(sdk)
    const event = fromHeaders(headers as Record<string, string>, String(body))
    expect(event).toMatchObject({ id: 'e1', subject: 'user/1', metadata: { partitionkey: 'p' }, data: { n: 1 } })
  })

  test('reads our binary mode', () => {
    const { dataText, ...event } = encodeEvent({
      ...fromCloudEvent({ ...minimal, data: { n: 1 } }),
      subject: 'user/1',
      sequence: 4,
    })
    const read = HTTP.toEvent({ headers: { ...toHeaders(event) }, body: dataText })
    expect(read).toMatchObject({ id: 'e1', subject: 'user/1', sequence: '4', data: { n: 1 }, checksum: event.checksum })
  })
})

describe('fromCloudEvent', () => {
  test('ignores the evt member and keeps unknown extensions as metadata', () => {
    const event = fromCloudEvent({
      ...minimal,
      evt: { topic: 'x' },
      region: 'eu',
      retries: 3,
      odd: { a: 1 },
      none: null,
    })
    expect(event.metadata).toEqual({ region: 'eu', retries: 3, odd: '{"a":1}' })
  })

  test("keeps somebody else's sequence and priority as metadata", () => {
    const event = fromCloudEvent({ ...minimal, sequence: 'a7', priority: 'p1' })
    expect(event.sequence).toBeUndefined()
    expect(event).toMatchObject({ priority: 'normal', metadata: { sequence: 'a7', priority: 'p1' } })
  })

  test('reads JSON in data_base64, and keeps what is no JSON as text', () => {
    const data_base64 = Buffer.from('{"n":1}').toString('base64')
    expect(fromCloudEvent({ ...minimal, data_base64 }).data).toEqual({ n: 1 })
    const text = fromCloudEvent({ ...minimal, datacontenttype: 'text/plain', data: '{"n":1}' })
    expect(text).toMatchObject({ data: '{"n":1}', metadata: { datacontenttype: 'text/plain' } })
    expect(fromCloudEvent({ ...minimal, datacontenttype: 'image/png', data_base64 }).data).toBe(data_base64)
  })

  test('takes the given time for an event without one', () => {
    const { time: _, ...timeless } = minimal
    expect(fromCloudEvent(timeless, { time: '2025-01-01T00:00:00Z' }).time).toBe('2025-01-01T00:00:00.000Z')
    expect(problem(timeless)).toBe('cannot decode event: time is missing')
  })

  test.each([
    [null, 'no JSON object'],
    [[minimal], 'no JSON object'],
    [{ ...minimal, specversion: '0.3' }, 'specversion is "0.3"'],
    [{ ...minimal, id: '' }, 'id is "", not a text'],
    [{ ...minimal, id: 'x'.repeat(256) }, 'id is longer than 255'],
    [{ ...minimal, type: 7 }, 'type is 7'],
    [{ ...minimal, source: undefined }, 'source is missing'],
    [{ ...minimal, time: '2025-02-30T00:00:00Z' }, 'time is "2025-02-30T00:00:00Z"'],
    [{ ...minimal, evtversion: 0 }, 'evtversion is 0'],
    [{ ...minimal, evtversion: '1.5' }, 'evtversion is "1.5"'],
    [{ ...minimal, subject: {} }, 'subject is {}'],
    [{ ...minimal, evtmetadata: '{' }, 'evtmetadata is no JSON'],
    [{ ...minimal, evtmetadata: '[]' }, 'evtmetadata is no JSON object'],
    [{ ...minimal, evtmetadata: '{"a":{}}' }, 'evtmetadata has no plain value under "a"'],
    [{ ...minimal, data_base64: 'e30-' }, 'data_base64 is no JSON'],
  ])('refuses %j: %s', (value, message) => {
    expect(problem(value)).toContain(message)
  })

  test('throws nothing but decode, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.record({ specversion: fc.constant('1.0') }).chain(() => anyBroken()),
        ),
        (value) => {
          try {
            fromCloudEvent(value)
          } catch (error) {
            expect(error).toMatchObject({ name: 'EvtError', code: 'decode' })
          }
        },
      ),
    )
  })
})

function anyBroken(): fc.Arbitrary<object> {
  const names = [
    'id',
    'type',
    'source',
    'time',
    'evtversion',
    'sequence',
    'evtmetadata',
    'subject',
    'data_base64',
    'priority',
  ]
  const broken = fc
    .tuple(fc.constantFrom(...names), fc.anything())
    .map(([name, value]) => ({ ...minimal, [name]: value }))
  return broken
}

describe('formatCloudEvent', () => {
  test('is the structured form on one line, read back unchanged', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        const { dataText, ...encoded } = encodeEvent(event)
        const line = formatCloudEvent(encoded, { dataText, evt: { topic: 'x' } })
        expect(line).not.toMatch(/[\r\n]/)
        expect(JSON.parse(line)).toEqual({ ...toCloudEvent(encoded), evt: { topic: 'x' } })
      }),
      { numRuns: 200 },
    )
  })

  test('prints stored data as it was written: long numbers keep their digits, line breaks become spaces', () => {
    const event = fromCloudEvent(minimal)
    const line = formatCloudEvent(event, { dataText: '{\n"n": 12345678901234567890\n}' })
    expect(line).toContain('"data":{ "n": 12345678901234567890 }')
  })
})
