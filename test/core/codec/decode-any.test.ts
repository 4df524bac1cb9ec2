import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAll, decodeAny, encodeEvent, formatCloudEvent } from '../../../src/core/codec.ts'
import { anyEvent, anyJson } from '../events.ts'

const userCreated = {
  event_type: 'user.created',
  user_id: 'u1',
  user_data: { email: 'user@example.com', is_active: true },
  timestamp: '2025-08-23T10:00:00Z',
  correlation_id: 'c1',
}

describe('decodeAny', () => {
  test('recognises CloudEvents in text and bytes', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        const { dataText, ...encoded } = encodeEvent(event)
        const line = formatCloudEvent(encoded, { dataText })
        expect(decodeAny(line)).toEqual({
          dialect: 'cloudevents-structured',
          because: 'it has specversion',
          event: encoded,
          dataText,
        })
        expect(decodeAny(Buffer.from(line))).toEqual(decodeAny(line))
      }),
      { numRuns: 100 },
    )
  })

  test('reads no bytes at all as null, never as an empty text', () => {
    expect(decodeAny(null, { topic: 'users', id: 'users@0:1' })).toMatchObject({
      event: { id: 'users@0:1', type: 'users', data: null },
      dataText: 'null',
      dialect: 'unknown',
      because: 'it is a tombstone: it has no value',
    })
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': 'e1',
      'ce-type': 'user.deleted',
      'ce-source': 's',
      'ce-time': '2026-11-21T08:00:00Z',
      'content-type': 'text/plain',
    }
    expect(decodeAny(null, { headers })).toMatchObject({
      event: { id: 'e1', type: 'user.deleted', data: null },
      dataText: 'null',
    })
    expect(decodeAny('', { topic: 'users' }).dataText).toBe('""')
  })

  test("reads the icon service's user, document and system events", () => {
    const { event, dialect } = decodeAny(JSON.stringify(userCreated), { topic: 'user_events' })
    expect(dialect).toBe('icons')
    expect(event).toMatchObject({
      type: 'user.created',
      subject: 'user/u1',
      correlationId: 'c1',
      time: '2025-08-23T10:00:00.000Z',
    })
    expect(event.data).toEqual({ user_id: 'u1', user_data: userCreated.user_data })
    const document = {
      event_type: 'document.updated',
      document_id: 'd1',
      user_id: 'u1',
      document_data: {},
      changes: ['content'],
    }
    expect(decodeAny(document).event).toMatchObject({ subject: 'document/d1', actor: { userId: 'u1' } })
    const system = decodeAny({
      event_type: 'system.maintenance_mode',
      system_data: { maintenance_enabled: true },
    }).event
    expect(system).not.toHaveProperty('subject')
  })

  test('gives equal bytes equal ids, and other bytes other ids, unless the caller knows better', () => {
    const id = (value: object) => decodeAny(JSON.stringify(value)).event.id
    expect(id(userCreated)).toBe(id({ ...userCreated }))
    expect(id(userCreated)).not.toBe(id({ ...userCreated, user_id: 'u2' }))
    expect(decodeAny(userCreated, { id: 'stream-1-0' }).event.id).toBe('stream-1-0')
  })

  test('takes JSON of any depth, as data, as extension and in place of an attribute', () => {
    const deep = '['.repeat(50_000) + ']'.repeat(50_000)
    const known = `"specversion":"1.0","id":"1","source":"s","time":"2025-08-23T10:00:00Z"`
    const structured = decodeAny(`{${known},"type":"a.b","far":${deep},"data":${deep}}`)
    expect(structured).toMatchObject({ dialect: 'cloudevents-structured', event: { metadata: { far: deep } } })
    expect(formatCloudEvent(structured.event)).toContain(`"data":${deep}`)
    expect(decodeAny(`{${known},"type":${deep}}`).problem?.message).toMatch(/type is \[{80}…, not a text/)
    const [one, other] = [JSON.parse(deep), JSON.parse(`[1,${deep}]`)].map((value) => decodeAny(value).event.id)
    expect(one).not.toBe(other)
  })

  test('shows what it does not know as it is, with the type from the topic', () => {
    const time = '2025-08-23T10:00:00.000Z'
    expect(decodeAny('{"a":1}', { topic: 'orders', time })).toMatchObject({
      dialect: 'unknown',
      event: { type: 'orders', source: 'orders', time, data: { a: 1 } },
    })
    expect(decodeAny('no json').event.data).toBe('no json')
    expect(decodeAny(Buffer.from([0xff, 0x00])).event.data).toBe('/wA=')
    expect(decodeAny({ event_type: 'a', event_id: 'x', timestamp: 1 }).dialect).toBe('unknown')
  })

  test('says why a recognised event could not be read, and shows it all the same', () => {
    const { event, dialect, problem } = decodeAny({ specversion: '1.0', id: 'e1' }, { topic: 'orders' })
    expect(dialect).toBe('unknown')
    expect(event).toMatchObject({ type: 'orders', data: { specversion: '1.0', id: 'e1' } })
    expect(problem).toMatchObject({ code: 'decode', message: 'cannot decode event: type is missing' })
  })

  test('says by which marks it knows an event, and what others did not find', () => {
    expect(decodeAny(userCreated).because).toBe(
      'it has event_type, timestamp or one of user_data, document_data, system_data, and no event_id; ' +
        'no cloudevents-structured: without specversion, no domain-events: without event_id, ' +
        'no event-bus: without event_name, no registry: without event_id, no typed-events: without event_id',
    )
    expect(decodeAny('[1]').because).toBe('it is JSON, but no object')
    expect(decodeAny('no json').because).toBe('it is no JSON: text')
    expect(decodeAny(Buffer.from([0xff])).because).toBe('it is no UTF-8: base64')
    expect(decodeAny('{}').because).toMatch(/^it has the marks of no dialect; no cloudevents-structured: without spec/)
    expect(decodeAny('{}', { headers: { 'ce-specversion': '1.0' } })).toMatchObject({
      dialect: 'unknown',
      because: 'header ce-specversion',
      problem: { message: 'cannot decode event: ce-id is missing' },
    })
  })

  test.each([
    ['2025-08-23T10:00:00', '2025-08-23T10:00:00.000Z'],
    ['2025-08-23 10:00:00.123456', '2025-08-23T10:00:00.123456Z'],
    ['2025-08-23 12:00:00.500000+02:00', '2025-08-23T10:00:00.500Z'],
    ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.000Z'],
  ])('reads the time %s, as Python writes it', (timestamp, time) => {
    expect(decodeAny({ ...userCreated, timestamp }).event.time).toBe(time)
  })

  test.each([
    ['v1', 1, undefined],
    ['v2', 2, undefined],
    ['2', 2, undefined],
    [3, 3, undefined],
    ['2.1.0', 2, 'urn:evt:version:2.1.0'],
  ])('reads the version %s', (version, number, dataschema) => {
    const { event } = decodeAny({ event_id: 'e', event_type: 'a.b', source_service: 's', version })
    expect(event.version).toBe(number)
    expect(event.metadata.dataschema).toBe(dataschema)
  })

  test('reads headers before bodies: a body that is no JSON under CloudEvents headers is shown, and said', () => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': 'e1',
      'ce-type': 'a.b',
      'ce-source': 's',
      'ce-time': '2025-01-01T00:00:00Z',
    }
    expect(decodeAny('{"n":1}', { headers })).toMatchObject({
      dialect: 'cloudevents',
      event: { id: 'e1', data: { n: 1 } },
    })
    expect(decodeAny('{"n":', { headers })).toMatchObject({
      dialect: 'unknown',
      dataText: '"{\\"n\\":"',
      problem: { message: 'cannot decode event: the data of e1 is no JSON' },
    })
  })

  test('shows a batch that is none', () => {
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    for (const body of ['[]', '{}', 'x'])
      expect(decodeAll(body, { headers })).toMatchObject([{ dialect: 'unknown', problem: { code: 'decode' } }])
    expect(decodeAll('[1,{"specversion":"1.0"}]', { headers })).toMatchObject([
      { dialect: 'unknown', problem: { message: 'cannot decode event: element 1 of the batch is no object' } },
      { dialect: 'unknown', problem: { message: 'cannot decode event: id is missing' } },
    ])
  })

  test('is not misled by odd keys, doubled keys, a byte-order mark, lone surrogates and huge texts', () => {
    const known = `"event_id":"1","timestamp":"2025-08-23T10:00:00Z","source_service":"s"`
    const odd = decodeAny(`{"__proto__":{"event_type":"x"},${known},"event_type":"a.b","constructor":1}`)
    expect(odd).toMatchObject({ dialect: 'registry', event: { type: 'a.b' } })
    expect(odd.dataText).toBe('{"__proto__":{"event_type":"x"},"constructor":1}')
    expect(Object.getPrototypeOf(odd.event.data)).toBe(Object.prototype)
    expect(decodeAny(`{${known},"event_type":"a.b","event_type":"c.d"}`).event.type).toBe('c.d')
    expect(decodeAny(`\ufeff{${known},"event_type":"a.b"}`)).toMatchObject({
      dialect: 'registry',
      event: { type: 'a.b' },
    })
    expect(decodeAny(`{${known},"event_type":"\\ud800"}`).event.type).toBe('\ud800')
    expect(decodeAny(`{${known},"event_type":"a.b","n":${'9'.repeat(400)}}`).dataText).toBe(`{"n":${'9'.repeat(400)}}`)
    const huge = 'x'.repeat(20_000_000)
    expect(decodeAny(`{${known},"event_type":"a.b","huge":"${huge}"}`).event).toMatchObject({ data: { huge } })
    for (const deep of ['['.repeat(10_000) + ']'.repeat(10_000), `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`])
      expect(decodeAny(`{${known},"event_type":"a.b","deep":${deep}}`).dataText).toBe(`{"deep":${deep}}`)
  })

  test('never throws, and always has data that is JSON', () => {
    const marks = [
      'specversion',
      'event_type',
      'timestamp',
      'event_id',
      'event_name',
      'version',
      'source_service',
      'metadata',
    ]
    const more = [
      'aggregate_id',
      'aggregate_type',
      'Versioned',
      'user_id',
      'user_data',
      'occurred_at',
      'user_context',
      '__proto__',
    ]
    const likely = fc.oneof(
      fc.constantFrom<unknown>(
        '1.0',
        'user.created',
        'UserCreated',
        '2025-08-23T10:00:00Z',
        1758882600.25,
        1e300,
        -1,
        'v1',
        '2.0.0',
        '',
        null,
        {},
        [],
      ),
      anyJson(),
    )
    const member = fc.tuple(fc.constantFrom(...marks, ...more), likely)
    const object = fc.array(member, { maxLength: 10 }).map((members) => Object.fromEntries(members))
    const fields = object.map((members) =>
      Object.fromEntries(Object.entries(members).map(([name, value]) => [name, JSON.stringify(value)])),
    )
    const values = fc.oneof(
      object,
      fields,
      fc.array(object, { maxLength: 3 }),
      object.map((inner) => ({ Versioned: inner })),
    )
    const cut = fc.tuple(values, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
      const bytes = Buffer.from(JSON.stringify(value))
      if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes
    })
    const header = fc.tuple(
      fc.constantFrom(
        'ce-specversion',
        'ce-id',
        'ce-type',
        'ce-time',
        'ce-source',
        'ce-evthops',
        'content-type',
        'ce-evtmetadata',
      ),
      fc.constantFrom(
        '1.0',
        'x',
        '%',
        '2025-08-23T10:00:00Z',
        'application/cloudevents+json',
        'application/cloudevents-batch+json',
        'text/plain',
        '{}',
      ),
    )
    const headers = fc.array(header, { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs))
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 50 }),
      fc.string(),
      values,
      values.map((value) => JSON.stringify(value)),
      cut,
    )
    fc.assert(
      fc.property(body, headers, (given, sent) => {
        for (const { event, dataText, because } of decodeAll(given, { headers: sent })) {
          JSON.parse(dataText)
          expect([typeof event.id, typeof event.type, typeof event.data !== 'undefined', because === '']).toEqual([
            'string',
            'string',
            true,
            false,
          ])
          expect(Number.isNaN(Date.parse(event.time))).toBe(false)
        }
      }),
      { numRuns: 20_000 },
    )
  }, 30_000)
})
