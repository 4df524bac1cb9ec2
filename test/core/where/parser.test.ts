import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExpression } from '../../../src/core/where/parser.ts'
import { type Expression, type Literal, operators, type Path, printExpression } from '../../../src/core/where/tree.ts'
import { anyText } from '../texts.ts'

const parse = (text: string) => parseExpression(text, () => undefined)

function anyLiteral(): fc.Arbitrary<Literal> {
  const duration = fc.constantFrom(
    ['15m', 900_000],
    ['1.5s', 1500],
    ['2h', 7_200_000],
    ['1w2d', 777_600_000],
  ) as fc.Arbitrary<[string, number]>
  return fc.oneof(
    anyText().map((value): Literal => ({ kind: 'string', value })),
    fc.constantFrom('\\d', '\\\\', "it's", '"', '\\n', '\n').map((value): Literal => ({ kind: 'string', value })),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value): Literal => ({ kind: 'number', value: value + 0 })),
    fc.boolean().map((value): Literal => ({ kind: 'boolean', value })),
    fc.constant<Literal>({ kind: 'null' }),
    duration.map(([text, ms]): Literal => ({ kind: 'duration', text, ms })),
    duration.map(([text, ms]): Literal => ({ kind: 'now', shift: `-${text}`, shiftMs: -ms })),
    fc.constant<Literal>({ kind: 'now', shift: '', shiftMs: 0 }),
  )
}

function anyPath(): fc.Arbitrary<Path> {
  const segment = fc.oneof(fc.stringMatching(/^[a-z0-9-]{1,8}$/), anyText(), fc.constantFrom('and', 'größe', '0'))
  return fc
    .tuple(
      fc.constantFrom('type', 'data', 'evt', 'Ünicode', '$x', '_y', 'android', 'index'),
      fc.array(segment, { maxLength: 3 }),
    )
    .map(([root, rest]): Path => ({ kind: 'path', segments: [root, ...rest] }))
}

function anyExpression(): fc.Arbitrary<Expression> {
  const operand = fc.oneof(anyPath(), anyLiteral())
  const leaf: fc.Arbitrary<Expression> = fc.oneof(
    fc.record({
      kind: fc.constant('compare' as const),
      operator: fc.constantFrom(...operators),
      left: operand,
      right: operand,
    }),
    fc.record({
      kind: fc.constant('match' as const),
      left: operand,
      regex: fc.constantFrom('^a\\.b$', "it's", '[\\d"]+', ''),
    }),
    fc.record({
      kind: fc.constant('in' as const),
      negated: fc.boolean(),
      left: operand,
      among: fc.oneof(anyPath(), fc.array(anyLiteral(), { minLength: 1, maxLength: 4 })),
    }),
    fc.record({ kind: fc.constant('holds' as const), operand: anyPath() }),
  )
  const { any } = fc.letrec<{ any: Expression }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      leaf,
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        terms: fc.array(tie('any'), { minLength: 2, maxLength: 4 }),
      }),
      fc.record({ kind: fc.constant('not' as const), term: tie('any') }),
    ),
  }))
  return any
}

test('a printed tree parses to the same tree', () => {
  fc.assert(
    fc.property(anyExpression(), (tree) => {
      const text = printExpression(tree)
      fc.pre(text.length <= 4000)
      expect(parse(text)).toEqual(tree)
    }),
    { numRuns: 300 },
  )
})

test('not binds tighter than and, and tighter than or', () => {
  expect(printExpression(parse('not a and b or c and not (d or e)'))).toBe('(not a and b) or (c and not (d or e))')
})

test('parentheses keep their meaning and nothing else', () => {
  expect(printExpression(parse('((a)) and (b and c)'))).toBe('a and (b and c)')
})
