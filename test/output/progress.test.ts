import { describe, expect, it } from 'vitest'
import { createProgress, progressLine } from '../../src/output/progress.ts'
import { createStream } from './stream.ts'

describe('progress', () => {
  it('shows count, rate and the time left', () => {
    expect(progressLine({ verb: 'generating', done: 12_000, total: 100_000, elapsedMs: 3_000 })).toBe(
      'generating 12,000 of 100,000 · 4,000/s · 22s left',
    )
    const standing = { verb: 'settled', done: 1, total: 2, elapsedMs: 9_000, isStanding: true }
    expect(progressLine(standing), 'an estimate would only grow').toBe('settled 1 of 2 · 0/s')
    expect(progressLine({ verb: 'reading', done: 5, elapsedMs: 1_000 })).toBe('reading 5 · 5/s')
  })

  it('draws on a terminal at most ten times a second, and removes its line', () => {
    const stderr = createStream({ isTTY: true })
    let nowMs = 1_000
    const progress = createProgress({ stderr, verb: 'reading', now: () => nowMs })
    for (let i = 0; i < 1_000; i++, nowMs++) progress.update(i)
    expect(stderr.writes.length).toBeGreaterThan(5)
    expect(stderr.writes.length).toBeLessThanOrEqual(10)
    progress.end()
    expect(stderr.writes.at(-1)).toBe('\r\u001b[2K')
  })

  it('is silent where nobody watches', () => {
    const stderr = createStream()
    const progress = createProgress({ stderr, verb: 'reading', now: Date.now })
    progress.update(1)
    progress.end()
    expect(stderr.writes).toEqual([])
  })
})
