// What was encoded comes back as it was; what was damaged on the way is told or shown, and nothing else is thrown. Tables for single
// cases are beside each decoder's own tests.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksumOf } from '../src/core/checksum.ts'
import { encodeAs } from '../src/core/codec/encode-as.ts'
import { decodeAll, dialectNames, encodeEvent, fromHeaders, toHeaders } from '../src/core/codec.ts'
import { EvtError } from '../src/core/errors.ts'
import { createHistogram, decodeHistogram } from '../src/core/histogram.ts'
import { seal, unseal } from '../src/core/sealing.ts'
import { readNdjson } from '../src/generators/read-ndjson.ts'
import { HttpProblem } from '../src/serve/problem.ts'
import { readEvents } from '../src/serve/read-events.ts'
import { formatArchiveLine, parseArchiveLine } from '../src/store/archive-line.ts'
import { allows, damage, damaged, holds, isCode, same, withinMs } from './core/damage.ts'
import { anyEvent, anyJson, attributeText } from './core/events.ts'
import { anyText } from './core/texts.ts'

describe('every decoder', () => {
  it(
    'of CloudEvents in headers gives back the event, with the same checksum however often, and tells one bit that flipped',
    () => {
      holds(
        fc.property(anyEvent(), fc.nat(), (event, bit) => {
          const { dataText, ...encoded } = encodeEvent(event)
          const body = Buffer.from(dataText)
          const decoded = fromHeaders(toHeaders(encoded), body, { verify: true })
          same({ ...decoded }, { ...encoded })
          const otherOrder = Object.fromEntries(Object.entries(decoded).toReversed()) as unknown as typeof decoded
          for (const one of [decoded, otherOrder]) same(encodeEvent(one).checksum, encoded.checksum)
          const at = bit % (body.length * 8)
          body[at >> 3] = (body[at >> 3] as number) ^ (1 << (at & 7))
          expect(() => fromHeaders(toHeaders(encoded), body, { verify: true })).toThrow(
            expect.objectContaining({ code: 'checksum' }),
          )
        }),
      )
    },
    withinMs,
  )

  it(
    'of any dialect shows what was damaged as something, whose data is JSON',
    () => {
      const header = fc.option(fc.tuple(fc.nat(), anyText()))
      holds(
        fc.property(fc.constantFrom(...dialectNames), anyEvent(), damage, header, (name, event, changes, other) => {
          const data = typeof event.data === 'object' && event.data !== null && !Array.isArray(event.data)
          const encoded = allows(
            () => encodeAs(name, data ? event : { ...event, data: { it: event.data } }),
            isCode('contract'),
          )
          if (encoded === undefined) return
          const names = Object.keys(encoded.headers)
          const spoilt = other === null ? {} : { [names[other[0] % names.length] ?? 'ce-id']: other[1] }
          for (const body of [encoded.body, damaged(encoded.body, changes)])
            for (const { dataText, because } of decodeAll(body, { headers: { ...encoded.headers, ...spoilt } })) {
              JSON.parse(dataText)
              expect(because).not.toBe('')
            }
        }),
      )
    },
    withinMs,
  )

  it(
    'of archived lines, which never gives other data than what was archived',
    () => {
      const data = fc
        .tuple(anyJson(), fc.constantFrom('', ' ', '\n', '\r\n'))
        .map(([json, space]) => space + JSON.stringify(json) + space)
      const attributes = [
        'subject',
        'tenant',
        'correlation_id',
        'causation_id',
        'traceparent',
        'user_id',
        'session_id',
      ] as const
      const columns = fc.record(
        {
          id: attributeText(),
          subject: fc.option(attributeText()),
          source: attributeText(),
          user_id: fc.option(attributeText()),
          data,
        },
        { noNullPrototype: true },
      )
      holds(
        fc.property(columns, fc.bigInt(1n, 2n ** 62n), damage, (some, position, changes) => {
          const nothing = Object.fromEntries(attributes.map((name) => [name, null]))
          const fixed = {
            type: 'a.b',
            version: '1',
            time: '2026-11-21 10:00:00+00',
            priority: 'normal',
            metadata: '{"a":1}',
          }
          const row = {
            ...{ position: String(position), slot: '3', sequencedAt: '2026-11-21 10:00:01+00' },
            columns: { ...nothing, ...fixed, ...some, checksum: checksumOf(some.data) },
          }
          const line = formatArchiveLine(row)
          expect(parseArchiveLine(line)).toEqual(row)
          const from = Buffer.byteLength(line.slice(0, line.indexOf(',"data":') + 8))
          const bytes = Buffer.from(line)
          const to = bytes.lastIndexOf(',"evt":')
          const spoilt = Buffer.concat([
            bytes.subarray(0, from),
            damaged(bytes.subarray(from, to), changes),
            bytes.subarray(to),
          ])
          const read = allows(
            () => parseArchiveLine(spoilt.toString()),
            (thrown) => thrown instanceof Error,
          )
          if (read !== undefined) expect(read.columns.data).toBe(some.data)
          allows(
            () => parseArchiveLine(damaged(bytes, changes).toString()),
            (thrown) => thrown instanceof Error,
          )
        }),
      )
    },
    withinMs,
  )

  it('of any dialect reads as many members as fit an event, and a thousand headers', () => {
    const text = `{${Array.from({ length: 80_000 }, (_, n) => `"k${n}":${n}`).join(',')}}`
    expect(decodeAll(Buffer.from(text))[0]?.dataText === text).toBe(true)
    const metadata = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`é${n}`, 'a\r\nset-cookie: b']))
    const names = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, 'a\r\nset-cookie: b']))
    const at = {
      id: '1',
      type: 'a.b',
      version: 1,
      source: 's',
      time: '2026-11-21T10:00:00.000Z',
      priority: 'normal',
    } as const
    const headers = toHeaders({ ...at, metadata: { ...metadata, ...names } })
    for (const [name, value] of Object.entries(headers)) expect(`${name}${value}`).toMatch(/^[!-~]*$/)
    same(fromHeaders(headers, '{}').metadata, { ...names, ...metadata })
  })

  it.each(['null', '1', '"x"', '[]', '{"evt":null}'])('of archived lines says of %s that it is none', (line) => {
    expect(() => parseArchiveLine(line)).toThrow('it is no archived event')
  })

  it(
    'of histograms',
    () => {
      holds(
        fc.property(
          fc.array(fc.double({ min: -1, max: 1e9, noNaN: true }), { maxLength: 20 }),
          damage,
          (values, changes) => {
            const histogram = createHistogram()
            for (const value of values) histogram.record(value)
            const text = histogram.encode()
            const { count, min, max } = histogram
            expect(decodeHistogram(text)).toMatchObject({ count, min, max })
            expect([...decodeHistogram(text).buckets()]).toEqual([...histogram.buckets()])
            const spoilt = damaged(Buffer.from(text, 'base64'), changes).toString('base64')
            const read = allows(() => decodeHistogram(spoilt), isCode('decode'))
            if (read !== undefined) expect(read.count).toBeGreaterThanOrEqual(0)
          },
        ),
      )
    },
    withinMs,
  )

  it(
    'of requests: candidates, or a problem that is the request’s',
    () => {
      const types = [
        'application/json',
        'application/cloudevents+json',
        'application/cloudevents-batch+json; charset=utf-8',
        'x/y',
      ]
      holds(
        fc.property(fc.constantFrom(...types), anyEvent(), fc.boolean(), damage, (type, event, isBinary, changes) => {
          const { dataText, ...encoded } = encodeEvent(event)
          const body = isBinary ? Buffer.from(dataText) : Buffer.from(encodeAs('cloudevents-structured', encoded).body)
          const headers = isBinary ? toHeaders(encoded) : { 'content-type': type }
          for (const sent of [body, damaged(body, changes)]) {
            const found = allows(
              () => readEvents(headers, sent, 0),
              (thrown) => thrown instanceof HttpProblem,
            )
            for (const one of found ?? []) expect('event' in one || one.error instanceof EvtError).toBe(true)
          }
        }),
      )
    },
    withinMs,
  )

  it(
    'of lines of JSON',
    async () => {
      const lines = fc.array(anyJson(), { maxLength: 4 })
      await holds(
        fc.asyncProperty(lines, damage, async (values, changes) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
          const read = async (given: Buffer) => {
            const found: unknown[] = []
            for await (const { value } of readNdjson(
              (async function* () {
                yield given
              })(),
            ))
              found.push(value)
            return found
          }
          same(await read(bytes), values)
          await read(damaged(bytes, changes)).catch((thrown) => expect(thrown).toMatchObject({ code: 'decode' }))
        }),
      )
    },
    withinMs,
  )

  it(
    'of what is sealed: the value, or a refusal',
    () => {
      const key = { id: '01936b2e-7c00', bytes: Buffer.alloc(32, 7) }
      holds(
        fc.property(anyJson(), attributeText(), damage, (value, place, changes) => {
          const sealed = seal(value, key, place)
          same(unseal(sealed, key), value)
          const read = allows(
            () => ({ value: unseal(damaged(Buffer.from(sealed), changes).toString('latin1'), key) }),
            isCode('contract'),
          )
          if (read !== undefined) same(read.value, value)
        }),
      )
    },
    withinMs,
  )
})
