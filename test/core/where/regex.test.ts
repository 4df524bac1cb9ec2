import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EvtError } from '../../../src/core/errors.ts'
import { compileRegex } from '../../../src/core/where/regex.ts'
import { anyText } from '../texts.ts'

const fail = (offset: number, reason: string) => new EvtError('usage', `${offset}: ${reason}`)
const compile = (source: string) => compileRegex(source, fail)

/** Sources over a small alphabet, so that they match often. */
function anySource(): fc.Arbitrary<string> {
  const atom = fc.constantFrom(
    'a',
    'b',
    '.',
    '\\w',
    '\\d',
    '[ab]',
    '[^a]',
    '[a-c1]',
    '\\.',
    'é',
    '😀',
    '\\b',
    '\\B',
    '^',
    '$',
  )
  const { any } = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      atom,
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => a + b),
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('any'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,3}', '{2,}', '*?', '+?'))
        .map(([a, repeat]) => `(${a})${repeat}`),
    ),
  }))
  return any.filter((source) => source.length <= 60)
}

const smallText = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '.', ' ', 'é', '😀', '\n'), maxLength: 12 })

test('finds what JavaScript finds', () => {
  fc.assert(
    fc.property(anySource(), fc.array(smallText, { maxLength: 8 }), (source, texts) => {
      const ours = compile(source)
      const reference = new RegExp(source, 'u')
      for (const given of texts) {
        // V8 finds \B between the halves of a surrogate pair, against the standard.
        const text = source.includes('\\B') ? given.replaceAll('😀', '') : given
        expect([text, ours.test(text)]).toEqual([text, reference.test(text)])
      }
    }),
    { numRuns: 500 },
  )
})

test('finds plain texts as JavaScript does', () => {
  const source = fc.tuple(
    fc.constantFrom('', '^'),
    fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 3 }),
    fc.constantFrom('', '$'),
  )
  fc.assert(
    fc.property(
      source,
      fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 5 }),
      ([start, text, end], subject) => {
        const regex = start + text + end
        expect(compile(regex).test(subject)).toBe(new RegExp(regex, 'u').test(subject))
      },
    ),
  )
})

test.each([
  ['(?i)^User\\.É', 'USER.é'],
  ["\\@\\'\\-", "@'-"],
  ['[\\w.\\-@\\]]+$', 'a-b@c.d]'],
  ['a{,2}', 'a{,2}'],
  ['\\p{Lu}\\u0041\\x41\\u{1F600}', 'ÄAA😀'],
  ['x]}', 'x]}'],
])('reads %s', (source, text) => {
  expect(compile(source).test(text)).toBe(true)
})

test.each([
  ['a(b', 1, '( is not closed'],
  ['a)b', 1, ') closes nothing'],
  ['*a', 0, 'repeats nothing'],
  ['a**', 2, 'repeats a repeat'],
  ['(?<n>a)', 0, 'only (?:'],
  ['(a)\\1', 3, 'back-references'],
  ['[a', 0, 'no character class'],
  ['[b-a]', 0, 'no character class'],
  ['a\\', 1, 'no character class or escape'],
  ['a{3,2}', 1, 'wrong way round'],
  ['(a{100}){100}', 8, 'too large'],
  ['('.repeat(60), 51, 'deep'],
])('refuses %s at %i', (source, offset, reason) => {
  expect(() => compile(source)).toThrow(`${offset}: `)
  expect(() => compile(source)).toThrow(reason)
})

describe('any source', () => {
  test('compiles or is refused with an offset inside', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'ab()[]{}*+?|^$\\.-,1:=!<pLu😀'), maxLength: 30 })
    fc.assert(
      fc.property(fc.oneof(nearly, anyText()), (source) => {
        try {
          compile(source).test('ab1')
        } catch (error) {
          if (!(error instanceof EvtError)) throw error
          const offset = Number.parseInt(error.message, 10)
          expect(offset).toBeGreaterThanOrEqual(0)
          expect(offset).toBeLessThanOrEqual(source.length)
        }
      }),
      { numRuns: 1500 },
    )
  })
})
