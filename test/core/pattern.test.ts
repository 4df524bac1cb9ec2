import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { compilePattern, compilePatterns, explainExpandedGlob } from '../../src/core/pattern.ts'
import { anyText } from './texts.ts'

/** The meaning, slow and obvious: lists become alternatives, then segments are tried in every way. */
function matchesReference(pattern: string, type: string): boolean {
  const list = /^([^{}]*)\{([^{}]*)\}(.*)$/s.exec(pattern)
  if (list) {
    const [, head = '', items = '', tail = ''] = list
    return items.split(',').some((item) => matchesReference(head + item + tail, type))
  }
  if (pattern === '*') return true
  const parts = pattern.split('.').map((part, i, all) => (part === '*' && i > 0 && i < all.length - 1 ? 'one' : part))
  return matchesFrom(parts, type.split('.'))
}

function matchesFrom(parts: readonly string[], segments: readonly string[]): boolean {
  const [part, ...rest] = parts
  if (part === undefined) return segments.length === 0
  const counts = part === '**' ? [0, segments.length] : part === '*' ? [1, segments.length] : [1, 1]
  for (let count = counts[0] as number; count <= (counts[1] as number); count++) {
    const fits = part === '**' || part === '*' || part === 'one' || segments[0] === part
    if (fits && count <= segments.length && matchesFrom(rest, segments.slice(count))) return true
  }
  return false
}

const name = fc.constantFrom('a', 'b', 'user', 'error')
const segment = fc.oneof(
  { weight: 3, arbitrary: name },
  { weight: 1, arbitrary: fc.constantFrom('*', '**') },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.oneof(name, fc.constantFrom('*', 'a.b', 'b.*')), { minLength: 1, maxLength: 3 })
      .map((items) => `{${items.join(',')}}`),
  },
)
const anyPattern = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('.'))
const anyType = fc.array(name, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('.'))

test('agrees with the slow and obvious matcher', () => {
  fc.assert(
    fc.property(anyPattern, fc.array(anyType, { maxLength: 8 }), (text, types) => {
      const pattern = compilePattern(text)
      for (const type of [...types, ...types]) {
        expect([text, type, pattern.matches(type)]).toEqual([text, type, matchesReference(text, type)])
      }
    }),
    { numRuns: 1500 },
  )
})

test.each([
  ['*.completed', 'validation.phase.completed', true],
  ['*.completed', 'completed', false],
  ['*.error.*', 'validation.error.occurred', true],
  ['validation.*', 'validation.phase.started', true],
  ['validation.*', 'validation', false],
  ['user.*.done', 'user.import.done', true],
  ['user.*.done', 'user.a.b.done', false],
  ['user.**.done', 'user.done', true],
  ['**', '', true],
  ['*', 'a.b.c', true],
  ['*', '', true],
  ['*.*', 'a', false],
  ['user.{created,deleted}', 'user.deleted', true],
  ['{user,document}.{a,{b,c}}', 'document.c', true],
  ['user', 'user.created', false],
  ['com.example.Order-Placed:v1', 'com.example.Order-Placed:v1', true],
])('%s and %s: %s', (pattern, type, expected) => {
  expect(compilePattern(pattern).matches(type)).toBe(expected)
})

test('several patterns match what any of them matches; none match nothing', () => {
  const both = compilePatterns(['user.*', 'order.placed'])
  expect(['user.created', 'order.placed', 'order.paid'].map(both.matches)).toEqual([true, true, false])
  expect(compilePatterns([]).matches('user.created')).toBe(false)
})

test('types are listed when there is no star', () => {
  expect(compilePattern('user.{created,deleted}').types).toEqual(['user.created', 'user.deleted'])
  expect(compilePatterns(['a', 'b', 'a']).types).toEqual(['a', 'b'])
  expect(compilePatterns(['a', 'b.*']).types).toBeUndefined()
})

test('goes on giving right answers when types outnumber its memory', () => {
  const pattern = compilePattern('a.*')
  for (let i = 0; i < 10_000; i++) pattern.matches(`b.${i}`)
  expect(pattern.matches('a.1')).toBe(true)
  expect(pattern.matches('b.1')).toBe(false)
})

test('many stars cost little', () => {
  const pattern = compilePattern(Array.from({ length: 60 }, () => '**.a').join('.'))
  expect(pattern.matches(`${'a.'.repeat(2000)}b`)).toBe(false)
})

describe('a pattern that cannot be read', () => {
  test.each([
    ['', 0, 'empty'],
    ['user.cre*', 8, 'whole segments'],
    ['{a}*', 3, 'whole segments'],
    ['x{*,y}', 2, 'whole segments'],
    ['a.***', 4, 'expected * or **'],
    ['a..b', 2, 'segment is empty'],
    ['.a', 0, 'segment is empty'],
    ['a.', 1, 'segment is empty'],
    ['a.{b', 2, "'{' is not closed"],
    ['a.b}', 3, "'}' without '{'"],
    ['a,b', 1, "',' without '{'"],
    ['a.{b,,c}', 5, 'a name is missing'],
    ['a.{}', 3, 'a name is missing'],
    ['user created', 4, 'stands in no event type'],
    ['user.[ab]', 5, 'stands in no event type'],
    ['{a,b}'.repeat(12), 49, 'more than 1000 patterns'],
  ])('%s is refused at %i', (text, at, reason) => {
    const lines = refusal(text).message.split('\n')
    expect(lines[0]).toContain(reason)
    expect(lines[1]).toBe(`  ${text}`)
    expect(lines[2]).toBe(`${' '.repeat(at + 2)}^`)
  })

  test('is a usage error, whatever it is', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'ab.*{},'), maxLength: 20 })
    fc.assert(
      fc.property(fc.oneof(nearly, anyText()), anyType, (text, type) => {
        try {
          expect(typeof compilePattern(text).matches(type)).toBe('boolean')
        } catch (error) {
          expect(error).toMatchObject({ name: 'EvtError', code: 'usage' })
        }
      }),
      { numRuns: 1000 },
    )
  })

  function refusal(text: string): EvtError {
    try {
      compilePattern(text)
    } catch (error) {
      if (error instanceof EvtError) return error
    }
    throw new Error('it was read')
  }
})

describe('a star that the shell has expanded', () => {
  test.each([
    [['user.json', 'user.ts'], "evt tail 'user.*'"],
    [['user.json'], "evt tail 'user.*'"],
    [['README.md', 'src', 'package.json'], "evt tail '*'"],
    [['./src/a'], "evt tail '*'"],
    [['bin', 'LICENSE'], "evt tail '*'"],
  ])('%j is answered with %s', (args, remedy) => {
    const error = explainExpandedGlob(args, 'evt tail')
    expect(error?.code).toBe('usage')
    expect(error?.hint).toContain(remedy)
  })

  test('types and patterns are no files', () => {
    expect(
      explainExpandedGlob(['user.*', 'user.created', '*.completed', 'user.{created,deleted}'], 'evt tail'),
    ).toBeUndefined()
    expect(explainExpandedGlob([], 'evt tail')).toBeUndefined()
  })
})
