import { describe, expect, it } from 'vitest'
import { colorOf, createPaint, wantsColor } from '../../src/output/paint.ts'

describe('colour', () => {
  it.each([
    ['auto', true, {}, true],
    ['auto', false, {}, false],
    ['auto', true, { TERM: 'dumb' }, false],
    ['auto', true, { NO_COLOR: '1' }, false],
    ['auto', true, { NO_COLOR: '' }, true],
    ['auto', false, { FORCE_COLOR: '1' }, true],
    ['auto', true, { FORCE_COLOR: '0' }, false],
    ['auto', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    ['always', false, { NO_COLOR: '1' }, true],
    ['never', true, { FORCE_COLOR: '1' }, false],
  ] as const)('%s on a terminal %s with %o is %s', (choice, isTTY, env, expected) => {
    expect(wantsColor({ choice, isTTY, env })).toBe(expected)
  })

  it('leaves text alone where colour is off', () => {
    expect(createPaint(false)('red', 'stop')).toBe('stop')
    expect(createPaint(true)('red', 'stop')).toBe('\u001b[31mstop\u001b[39m')
  })

  it('gives one name the same colour every time, and different names different ones', () => {
    expect(colorOf('user.created')).toBe(colorOf('user.created'))
    expect(
      new Set(['user.created', 'user.updated', 'document.created', 'auth.login'].map(colorOf)).size,
    ).toBeGreaterThan(1)
  })
})
