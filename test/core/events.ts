import fc from 'fast-check'
import type { EvtEvent } from '../../src/core/event.ts'
import { anyText } from './texts.ts'

/** Any JSON value as JSON.parse gives it back: no -0, no undefined; lone surrogates, U+0000 and `__proto__` included. */
export function anyJson(): fc.Arbitrary<unknown> {
  const key = fc.oneof(anyText(), fc.constantFrom('__proto__', 'constructor', 'toString', ''))
  const text = fc.oneof(anyText(), fc.constantFrom('\ud800', 'a\udfff', '\0', '\u2028', '€uro ☃ 😀', 'x'.repeat(500)))
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      fc.oneof(
        text,
        fc.boolean(),
        fc.constant(null),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer(),
      ),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('json')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
    ),
  }))
  return json.map((value) => JSON.parse(JSON.stringify(value)) as unknown)
}

/** Text that an attribute may hold. */
export function attributeText(): fc.Arbitrary<string> {
  const odd = fc.constantFrom('', ' ', '%41', '"quoted"', 'Grüße, 世界 😀', 'a\r\nb', '\\"', "it's", '\u007f', '~!')
  return fc.oneof(anyText(), odd).filter((text) => text.isWellFormed() && !text.includes('\0'))
}

/** Dotted segments of whatever a pattern can name. */
export function eventType(): fc.Arbitrary<string> {
  const odd = fc.constantFrom('%41', 'Grüße-世界😀', 'a/b:c@1', '~', '__proto__', 'constructor')
  const segment = fc.oneof(fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/), odd)
  return fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'))
}

/** Any event that `encodeEvent` accepts, in the form in which decoding returns it. */
export function anyEvent(): fc.Arbitrary<EvtEvent> {
  const name = attributeText().filter((text) => text !== '')
  const optional = {
    subject: attributeText(),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    tenant: attributeText(),
    correlationId: attributeText(),
    causationId: attributeText(),
    traceparent: attributeText(),
    actor: fc
      .record({ userId: attributeText(), sessionId: attributeText() }, { requiredKeys: [], noNullPrototype: true })
      .filter((actor) => Object.keys(actor).length > 0),
  }
  const required = {
    id: name.filter((id) => id.length <= 255),
    type: eventType(),
    version: fc.integer({ min: 1 }),
    source: name,
    time: fc
      .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    priority: fc.constantFrom('critical', 'high', 'normal', 'low'),
    metadata: anyMetadata(),
    data: anyJson(),
  }
  return fc.record(
    { ...required, ...optional },
    { noNullPrototype: true, requiredKeys: Object.keys(required) as (keyof typeof required)[] },
  ) as fc.Arbitrary<EvtEvent>
}

function anyMetadata(): fc.Arbitrary<EvtEvent['metadata']> {
  const own = ['id', 'data', 'evt', 'sequence', 'priority', 'checksum', 'evtmetadata', 'datacontenttype', 'data_base64']
  const key = fc.oneof(
    fc.stringMatching(/^[a-z0-9]{1,20}$/),
    anyText(),
    fc.constantFrom('__proto__', 'constructor', 'Region', 'specversion', ...own),
  )
  const value = fc.oneof(
    anyText(),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
  )
  return fc.array(fc.tuple(key, value), { maxLength: 5 }).map((entries) => Object.fromEntries(entries))
}
