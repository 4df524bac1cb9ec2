import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHeaders } from '../../src/core/codec.ts'
import { EvtError } from '../../src/core/errors.ts'
import { compileWhere, eventFields, whereHelp } from '../../src/core/where.ts'
import { anyText } from './texts.ts'

const nowMs = Date.parse('2025-08-23T12:00:00Z')
const event = {
  id: 'e1',
  type: 'user.created',
  time: '2025-08-23T10:30:00.000Z',
  subject: 'user/1',
  sequence: 5,
  correlationId: 'c1',
  actor: { userId: 'u1' },
  data: {
    user: { plan: 'pro', active: true, blocked: false, deleted: null },
    tookMs: 2500,
    count: '5',
    tags: ['vip', 3],
    items: [{ sku: 'a1' }, { sku: 'b2' }],
    'odd name': 1,
    'user-id': 7,
    due: '2025-08-24',
  },
  evt: { topic: 'users', position: 12n },
}
const holds = (text: string, subject: unknown = event) => compileWhere(text, { nowMs }).test(subject)

test.each([
  "type == 'user.created'",
  'type == "user.created" AND sequence >= 5',
  "data.user.plan in ('free', 'pro')",
  "data.user.plan not in ['free']",
  "data['odd name'] == 1 and data.\"odd name\" == 1 and data.'odd name' == 1",
  'data.user-id == 7',
  "data.items[0].sku == 'a1' and data.items.1.sku == 'b2' and data.items[ 1 ].sku ~ '^b'",
  'data.items.length == 2',
  "'vip' in data.tags and 3 in data.tags and 'x' not in data.tags",
  'data.user.active and not data.user.blocked',
  'data.tookMs > 2s and data.tookMs < 1m',
  'evt.position == 12 and evt.position > 11.5 and evt.position != 13',
  "correlationid == 'c1' and userid == 'u1' and actor.userId == 'u1'",
  "subject ~ '^user/' and not type ~ 'CREATED' and type ~ '(?i)CREATED'",
  'true and not false',
  "'pro' == data.user.plan",
  '-1 < sequence',
])('%s holds', (text) => {
  expect(holds(text)).toBe(true)
})

describe('a missing or null field', () => {
  test.each(['data.nothing', 'data.user.deleted', 'nothing.at.all', 'data.user.plan.deeper', 'data.items[9].sku'])(
    '%s',
    (field) => {
      expect(holds(`${field} == null and null == ${field} and ${field} in (null, 1)`)).toBe(true)
      expect(holds(`${field} != null or null != ${field}`)).toBe(false)
      for (const text of [
        "== 'a'",
        "!= 'a'",
        '< 1',
        '>= 1',
        "~ ''",
        "in ('a')",
        "not in ('a')",
        '> now',
        '< 2h',
        `== ${field}`,
      ]) {
        expect([text, holds(`${field} ${text}`)]).toEqual([text, false])
      }
      expect(holds(`not (${field} == 'a')`)).toBe(true)
      expect(holds(field)).toBe(false)
    },
  )

  test('is what an object inherits', () => {
    for (const field of ['constructor', 'data.constructor', 'data.__proto__', 'data.tags.map', 'toString']) {
      expect(holds(`${field} == null`)).toBe(true)
    }
  })
})

describe('values of different kinds', () => {
  test('are unequal and have no order', () => {
    expect(holds('data.count == 5')).toBe(false)
    expect(holds('data.count != 5')).toBe(true)
    for (const operator of ['<', '<=', '>', '>=']) expect(holds(`data.count ${operator} 5`)).toBe(false)
    expect(holds('data.user == 1 or data.tags == data.items')).toBe(false)
    expect(holds('data.user.active == true')).toBe(true)
    expect(holds("sequence ~ '5'")).toBe(false)
  })
})

describe('times', () => {
  test('compare with now and a shift', () => {
    expect(holds('time > now-2h and time < now-1h and time < now and time < now + 1m')).toBe(true)
    expect(holds('time > now-15m')).toBe(false)
    expect(holds('now - 2h < time')).toBe(true)
  })

  test('compare with a duration by age', () => {
    expect(holds('time < 2h and time > 1h and 1h < time')).toBe(true)
    expect(holds('time == 1h30m')).toBe(true)
  })

  test('compare with texts by time, whatever their digits and offsets', () => {
    expect(holds("time == '2025-08-23T12:30:00+02:00' and time >= '2025-08-23' and time < '2025-08-24'")).toBe(true)
    expect(holds("time < '2025-08-23T10:30:00.0001Z'")).toBe(true)
    expect(holds('time < data.due')).toBe(true)
    expect(holds("type < '2025-08-23'")).toBe(false)
  })

  test('are compared as neither equal nor unequal to what is no time', () => {
    expect(holds('type == now or type != now or type < 2h or data.user > now')).toBe(false)
    expect(holds('now > 1755950399999 and now == 1755950400000 and 2h > 1h and now-1h < 2h')).toBe(true)
  })
})

describe('an error', () => {
  const complaint = (text: string, fields?: readonly string[]): string => {
    try {
      compileWhere(text, fields ? { nowMs, fields } : { nowMs })
    } catch (error) {
      expect(error).toMatchObject({ name: 'EvtError', code: 'usage' })
      return (error as EvtError).message
    }
    return 'no error'
  }

  test('shows the line, a caret under the character, and what was expected', () => {
    expect(complaint("type == 'a' and\n  data.x = 1")).toBe(
      'cannot read expression: unexpected =\n    data.x = 1\n           ^',
    )
    expect(complaint('type == ')).toBe(
      'cannot read expression: expected a field or a value after ==\n  type == \n          ^',
    )
  })

  test.each([
    ['', 'expected a field, a value, not or (', 0],
    ['a b', 'expected and, or, or the end', 2],
    ['(a', 'expected and, or, or )', 2],
    ['a in b)', 'expected and, or, or the end', 6],
    ['a in (b)', 'a list holds no fields', 6],
    ['a in ()', 'expected a value', 6],
    ["a in ('x'", 'expected , or )', 9],
    ['a == 1 && b', 'unexpected &&', 7],
    ['!a', 'unexpected !', 0],
    ['a === 1', 'unexpected ===', 2],
    ['a ~ 1', 'regular expression in quotes', 4],
    ["a ~ 'x(y'", 'this ( is not closed', 6],
    ["a ~ '(?=x)'", 'only (?: and', 5],
    ["a ~ '(x)\\1'", 'back-references', 8],
    [`a ~ '${'x'.repeat(201)}'`, 'longer than 200', 205],
    ["a ~ 'x{999}{999}'", 'repeats', 11],
    ["a == 'x", 'not closed', 5],
    ['a == 15q', 'a number or a duration', 5],
    ['a == 1e999', 'too large', 5],
    ['a == now-5', 'a duration after now-', 9],
    ['data.', 'expected a field name', 5],
    ['data[x]', 'expected an index', 5],
    ['data[0', 'expected ]', 6],
    ['12', 'expected a comparison', 2],
    ['a # b', 'means nothing here', 2],
    ['('.repeat(200), 'levels deep', 101],
  ])('%s', (text, reason, at) => {
    const message = complaint(text)
    expect(message).toContain(reason)
    // Past sixty characters the line is cut before the caret.
    expect(message.split('\n').at(-1)).toBe(`${' '.repeat(at > 60 ? 63 : at + 2)}^`)
  })

  test('names a field that does not exist, when the fields are known', () => {
    expect(complaint("tpye == 'x'", eventFields)).toContain('there is no field tpye: did you mean type?')
    expect(complaint('type == user', eventFields)).toContain('there is no field user')
    expect(complaint("data.x == 'x' and evt.y == 1 and correlationid != null", eventFields)).toBe('no error')
  })
})

describe('any text', () => {
  const pieces = [
    ...[
      'type',
      'data.x',
      '==',
      '!=',
      '<',
      '~',
      'in',
      'not',
      'and',
      'or',
      '(',
      ')',
      '[',
      ']',
      ',',
      "'a'",
      '"(a+)+$"',
      '15m',
    ],
    ...['now', '-', '1', 'null', 'true', '.', '\\', "'", '\n', ' ', '{', '*', '^', '|', 'data."x y"', '\ud800', '😀'],
  ]
  const nearly = fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join(' '))
  const glued = fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join(''))

  test('compiles and tests without a throw, or is a usage error with its position inside', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, glued, anyText(60)), (text) => {
        try {
          expect(typeof holds(text)).toBe('boolean')
        } catch (error) {
          if (!(error instanceof EvtError)) throw error
          expect(error.code).toBe('usage')
          const lines = error.message.split('\n')
          expect(lines).toHaveLength(3)
          expect((lines[2] ?? '').length).toBeLessThanOrEqual((lines[1] ?? '').length + 1)
        }
      }),
      { numRuns: 1500 },
    )
  })

  test.each([
    ['parentheses', `${'('.repeat(1999)}a${')'.repeat(1999)}`],
    ['not', `${'not '.repeat(900)}a`],
    ['terms', Array.from({ length: 600 }, () => 'a').join(' or ')],
    ['an overlong text', 'a or '.repeat(100_000)],
    [
      'an evil regular expression',
      `data.evil ~ '^(([a-z]+)*)*\\d$' or data.evil ~ '(a|a)*b' or data.evil ~ '.*.*.*.*.*x'`,
    ],
  ])('of many %s costs little', (_, text) => {
    const started = performance.now()
    try {
      holds(text, { data: { evil: 'a'.repeat(2000) } })
    } catch (error) {
      expect(error).toMatchObject({ code: 'usage' })
    }
    // An exponential answer would not come within the age of the world.
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})

test('a body that is no JSON has no fields', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-type': 'a.b', 'ce-source': 's', 'ce-time': event.time }
  expect(holds("type == 'a.b' and data.x == null", fromHeaders(headers, '{'))).toBe(true)
})

test('every example of the help compiles', () => {
  const examples = [
    "time >= '2025-08-23'",
    'time > now-15m',
    'time < 2h',
    'data.tookMs > 2s',
    "not (data.plan == 'free')",
    "'vip' in data.tags",
  ]
  for (const example of examples) {
    expect(whereHelp).toContain(example)
    expect(() => compileWhere(example, { nowMs, fields: eventFields })).not.toThrow()
  }
})
