import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWindow } from '../../src/transports/window.ts'

describe('window', () => {
  it('is at what was reached when nothing is unsettled', () => {
    expect(createWindow().prefix(42n)).toBe(42n)
  })

  it('covers exactly the settled prefix, whatever the order of settling', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(5_000), { minLength: 1, maxLength: 300 }),
        fc.infiniteStream(fc.nat()),
        (some, draws) => {
          const positions = some.map(BigInt).toSorted((a, b) => Number(a - b))
          const window = createWindow()
          for (const position of positions) window.add(position)
          const open = new Set(positions)
          while (open.size > 0) {
            const [first = 0n] = open
            expect(window.prefix(9_999n)).toBe(first - 1n)
            expect(window.unsettled).toBe(open.size)
            const chosen = [...open][draws.next().value % open.size] ?? 0n
            expect(window.settle(chosen)).toBe(true)
            expect(window.settle(chosen)).toBe(false)
            open.delete(chosen)
          }
          expect(window.prefix(9_999n)).toBe(9_999n)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('counts others as settled when asked, without settling them', () => {
    const window = createWindow()
    for (const position of [1n, 3n, 4n, 7n]) window.add(position)
    expect(window.prefix(9n, new Set([1n, 3n]))).toBe(3n)
    expect(window.prefix(9n, new Set([1n, 3n, 4n, 7n]))).toBe(9n)
    expect(window.prefix(9n, new Set([3n]))).toBe(0n)
    expect(window.prefix(9n)).toBe(0n)
  })
})
