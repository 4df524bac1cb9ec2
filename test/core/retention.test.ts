import { describe, expect, it } from 'vitest'
import { compilePattern, patternExpression } from '../../src/core/pattern.ts'
import { resolveRetention } from '../../src/core/retention.ts'

describe('what is said about retention', () => {
  it('is whole days by class and classes by pattern, in their order', () => {
    const said = { classes: { short: '7d', default: '2w' }, types: { 'debug.*': 'short', '*': 'audit' }, archive: '/a' }
    expect(resolveRetention(said)).toEqual({
      days: { short: 7, default: 14 },
      types: [
        { pattern: 'debug.*', class: 'short' },
        { pattern: '*', class: 'audit' },
      ],
      archive: '/a',
    })
    expect(resolveRetention({ ...said, keep: '90d' }).days).toEqual({ short: 7, default: 90 })
    expect(resolveRetention({})).toEqual({ days: {}, types: undefined, archive: undefined })
  })

  it.each([
    [{ classes: { Short: '7d' } }, /classes.Short: a class is/],
    [{ classes: { short: '12h' } }, /'12h' is no number of whole days/],
    [{ classes: { short: '0d' } }, /'0d' is no number/],
    [{ keep: '1.5d' }, /retention.keep: '1.5d' is no number/],
    [{ classes: { short: 'x' } }, /'x' is no number/],
    [{ types: { 'a.*': 'shrot' } }, /there is no class shrot; they are default, audit, scratch/],
    [{ types: { 'a b': 'audit' } }, /types\['a b'\]/],
    [{ archive: '' }, /archive: it is empty/],
  ])('is refused when it cannot be: %j', (said, message) => {
    expect(() => resolveRetention(said as never)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringMatching(message) }),
    )
  })
})

it('a pattern as a regular expression matches what the pattern matches', () => {
  const patterns = ['*', 'a.*', '*.b', 'a.*.c', '**.x', 'a.**', 'a.{b,c}', 'a.b', '{a.*,x}', 'a$+^.*', 'ä.*']
  const types = ['a', 'a.b', 'a.b.c', 'b', 'x', 'a.x', 'a.b.x', 'a.c', 'ab', 'a$+^.b', 'ä.b', 'a.bb', 'xa.b']
  for (const pattern of patterns)
    for (const type of types)
      expect(new RegExp(patternExpression(pattern), 'u').test(`${type}.`), `${pattern} on ${type}`).toBe(
        compilePattern(pattern).matches(type),
      )
})
