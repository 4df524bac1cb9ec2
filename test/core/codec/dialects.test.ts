import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeAs, encodeBatch, parseDialect } from '../../../src/core/codec/encode-as.ts'
import { type DialectName, decodeAll, decodeAny, dialectNames } from '../../../src/core/codec.ts'
import type { EvtEvent } from '../../../src/core/event.ts'
import { anyEvent, anyJson } from '../events.ts'

const text = (body: Uint8Array) => Buffer.from(body).toString()
const context = { topic: 'somewhere', time: '2026-01-02T03:04:05.678Z', id: 'from-the-position' }

/** What each shape has no place for, as its file says. */
const lost: Readonly<Record<DialectName, (event: EvtEvent) => Partial<EvtEvent> | 'refused'>> = {
  cloudevents: () => ({}),
  'cloudevents-structured': () => ({}),
  'cloudevents-batch': () => ({}),
  'domain-events': withoutChecksum,
  'event-bus': (event) => (isPlain(event.data) ? withoutChecksum() : 'refused'),
  registry: (event) => (isPlain(event.data) ? withoutChecksum() : 'refused'),
  icons: onlyMonitored('icon-service'),
  'typed-events': onlyMonitored('typed-events'),
  'untyped-events': onlyMonitored('typed-events'),
}

const isPlain = (data: unknown) => typeof data === 'object' && data !== null && !Array.isArray(data)

function withoutChecksum(): Partial<EvtEvent> {
  return { checksum: undefined } as unknown as Partial<EvtEvent>
}

function onlyMonitored(source: string): (event: EvtEvent) => Partial<EvtEvent> | 'refused' {
  const nothing = ['subject', 'sequence', 'tenant', 'correlationId', 'causationId', 'traceparent', 'actor', 'checksum']
  return ({ data }) =>
    isPlain(data)
      ? {
          ...Object.fromEntries(nothing.map((name) => [name, undefined])),
          version: 1,
          source,
          priority: 'normal',
          metadata: {},
        }
      : 'refused'
}

/** Names that shapes use for themselves, or read a subject or an actor from, are left to the tables below. */
const usual = fc.tuple(anyEvent(), anyJson(), fc.boolean()).map(([event, other, flat]): EvtEvent => {
  const { actor, ...rest } = event
  const data = flat ? { plan: 'pro', other } : event.data
  return { ...rest, ...(actor && flat ? { actor: { ...actor, userId: 'u' } } : {}), data }
})

describe('encodeAs', () => {
  test.each(dialectNames)('as %s keeps of an event what the shape can hold, and nothing else changes', (name) => {
    fc.assert(
      fc.property(usual, (given) => {
        const { actor: _actor, ...others } = given
        // The actor of the registry is a member that comes back in the data too.
        const event: EvtEvent = name === 'registry' ? others : given
        const expected = lost[name](event)
        const encoded = () => encodeAs(name, event)
        if (expected === 'refused') {
          expect(encoded).toThrow(expect.objectContaining({ code: 'contract' }))
          return
        }
        const { headers, body } = encoded()
        const [decoded, ...more] = decodeAll(body, { ...context, headers })
        expect(more).toEqual([])
        const kept = { ...event, ...expected }
        if (name === 'icons' || name.includes('typed')) delete (kept as { correlationId?: string }).correlationId
        if (name === 'icons' && event.correlationId) Object.assign(kept, { correlationId: event.correlationId })
        const { checksum: _, ...back } = { ...decoded?.event } as EvtEvent
        expect(back).toEqual(present(kept))
        expect(decoded?.dialect).toBe(name)
      }),
      { numRuns: 300 },
    )
  })

  test('writes the digits of the stored bytes, in every dialect', () => {
    const event = { ...(decodeAny('{"a":1}', context).event as EvtEvent), type: 'a.b' }
    const dataText = '{"user":12345678901234567890,"price":0.12345678901234567891}'
    for (const name of dialectNames) {
      const { headers, body } = encodeAs(name, { ...event, data: JSON.parse(dataText), dataText })
      expect(text(body)).toContain('12345678901234567890')
      expect(JSON.stringify(decodeAny(body, { ...context, headers }).dataText)).toContain('12345678901234567890')
      expect(decodeAny(body, { ...context, headers }).dataText).toContain('0.12345678901234567891')
    }
  })

  test.each([
    ['icons', { timestamp: 'x' }, 'its data has a member timestamp of its own'],
    ['registry', { version: 1 }, 'its data has a member version of its own'],
    ['event-bus', { metadata: {} }, 'its data has a member metadata of its own'],
    ['typed-events', [1], 'its data is no object'],
    ['untyped-events', { event_id: 1 }, 'its data has a member event_id of its own'],
    ['icons', new Date(0), 'its data is no object'],
  ] as const)('refuses as %s data %j: %s', (name, data, reason) => {
    const event = { ...(decodeAny('{}', context).event as EvtEvent), data }
    expect(() => encodeAs(name, event)).toThrow(`cannot write somewhere as ${name}: ${reason}`)
  })

  test('says in the headers of every dialect where a relayed event came from, and takes it from there', () => {
    for (const name of dialectNames) {
      const event: EvtEvent = {
        ...(decodeAny('{}', context).event as EvtEvent),
        ...{ type: 'user.created', metadata: { evtorigin: 'redis://a/ü', evthops: '2' }, data: { n: 1 } },
      }
      const { headers, body } = encodeAs(name, event)
      expect(headers).toMatchObject({ 'ce-id': event.id, 'ce-type': 'user.created', 'ce-evthops': '2' })
      const back = decodeAny(body, { headers })
      expect(back.event).toMatchObject({ id: event.id, metadata: { evtorigin: 'redis://a/ü', evthops: '2' } })
    }
  })

  test('knows its names, and what a misspelt one was meant to be', () => {
    expect(dialectNames.map(parseDialect)).toEqual(dialectNames)
    expect(() => parseDialect('icon')).toThrow(expect.objectContaining({ code: 'usage', hint: 'did you mean icons?' }))
  })
})

function present(event: object): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined))
}

describe('the official CloudEvents SDK', () => {
  const event: EvtEvent = {
    ...{ id: 'e1', type: 'user.created', version: 2, source: '/icons', time: '2026-01-02T03:04:05.678Z' },
    ...{ subject: 'user/1 ü', priority: 'high', metadata: { region: 'eu' }, data: { plan: 'pro' } },
  }
  const said = { id: 'e1', type: 'user.created', source: '/icons', region: 'eu', evtversion: 2, data: { plan: 'pro' } }

  test.each(['cloudevents', 'cloudevents-structured'] as const)('reads what we write as %s', (name) => {
    const { headers, body } = encodeAs(name, event)
    const read = HTTP.toEvent({ headers: { ...headers }, body: text(body) }) as CloudEvent<unknown>
    expect({ ...read, evtversion: Number(read.evtversion) }).toMatchObject(said)
  })

  test('reads the batch that we write, and its elements are what they were', () => {
    const events = [event, { ...event, id: 'e2' }, { ...event, id: 'e3', data: null }]
    const { headers, body } = encodeBatch(events)
    const read = HTTP.toEvent({ headers: { ...headers }, body: text(body) }) as CloudEvent<unknown>[]
    expect(read.map(({ id }) => id)).toEqual(['e1', 'e2', 'e3'])
    expect(read.every((one) => one.validate())).toBe(true)
    for (const known of [headers, {}]) {
      const decoded = decodeAll(body, { headers: known })
      expect(decoded.map(({ dialect }) => dialect)).toEqual(Array(3).fill('cloudevents-batch'))
      expect(decoded.map(({ event: { checksum: _, ...one } }) => one)).toEqual(events)
    }
  })

  test('writes all three modes that we read', () => {
    const sdk = new CloudEvent({ ...said, specversion: '1.0' })
    for (const { headers, body } of [HTTP.binary(sdk), HTTP.structured(sdk)]) {
      const lower = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
      )
      const { event: read, dialect } = decodeAny(String(body), { headers: lower })
      expect(read).toMatchObject({ id: 'e1', version: 2, metadata: { region: 'eu' }, data: { plan: 'pro' } })
      expect(dialect).toMatch(/^cloudevents/)
    }
    const batch = `[${JSON.stringify(sdk)},${JSON.stringify(sdk)}]`
    expect(decodeAll(batch)).toHaveLength(2)
  })
})
