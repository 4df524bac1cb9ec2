import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAny, encodeEvent, formatCloudEvent } from '../../../src/core/codec.ts'
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
        expect(decodeAny(line)).toEqual({ dialect: 'cloudevents', event: encoded })
        expect(decodeAny(Buffer.from(line))).toEqual(decodeAny(line))
      }),
      { numRuns: 100 },
    )
  })

  test("reads the icon service's user, document and system events", () => {
    const { event, dialect } = decodeAny(JSON.stringify(userCreated), { topic: 'user_events' })
    expect(dialect).toBe('seed-icons')
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
    expect(structured).toMatchObject({ dialect: 'cloudevents', event: { metadata: { far: deep } } })
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

  test('never throws', () => {
    const bytes = fc.uint8Array({ maxLength: 50 })
    const nearly = fc.tuple(fc.constantFrom('specversion', 'event_type', 'timestamp'), fc.anything(), anyJson())
    const object = nearly.map(([key, value, data]) => ({ ...userCreated, data, [key]: value }))
    fc.assert(fc.property(fc.oneof(bytes, fc.string(), object), (value) => decodeAny(value).event.id !== ''))
  })
})
