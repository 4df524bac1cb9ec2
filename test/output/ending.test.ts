import { describe, expect, it } from 'vitest'
import { hasGap, scanLine, writeLine } from '../../src/output/ending.ts'

describe('how a read or a write ended', () => {
  it('says what was scanned, what matched and why it stopped', () => {
    expect(scanLine({ scanned: 1_204_332, matched: 17, stopped: '--limit' })).toBe(
      'scanned 1,204,332 · matched 17 · stopped: --limit',
    )
  })

  it('says how many a slow reader was not shown', () => {
    expect(scanLine({ scanned: 9, matched: 8, stopped: 'interrupted', notShown: 3 })).toContain('not shown 3')
  })

  it('says what was asked, accepted, confirmed and is unknown', () => {
    expect(writeLine({ asked: 1000, accepted: 1000, confirmed: 900, unknown: 100 })).toBe(
      'asked 1,000 · accepted 1,000 · confirmed 900 · unknown 100',
    )
  })

  it.each([
    [{ asked: 5, accepted: 5, confirmed: 5, unknown: 0 }, false],
    [{ asked: 5, accepted: 5, confirmed: 4, unknown: 1 }, true],
    [{ asked: 5, accepted: 4, confirmed: 4, unknown: 0 }, true],
    [{ asked: 0, accepted: 0, confirmed: 0, unknown: 0 }, false],
  ])('calls %o a gap: %s', (written, expected) => {
    expect(hasGap(written)).toBe(expected)
  })
})
