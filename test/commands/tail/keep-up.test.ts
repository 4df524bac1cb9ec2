import { describe, expect, it } from 'vitest'
import { keepUp } from '../../../src/commands/tail/keep-up.ts'

async function* numbers(count: number, size = 1) {
  for (let n = 0; n < count; n += size) yield Array.from({ length: size }, (_, i) => n + i)
}

describe('keepUp', () => {
  it('gives everything, in order, to a reader that keeps up', async () => {
    const seen: number[] = []
    const { batches, dropped } = keepUp(numbers(1_000, 10), 100_000)
    for await (const batch of batches) seen.push(...batch)
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, i) => i))
    expect(dropped()).toBe(0)
  })

  it('keeps the last ones for a reader that does not, and counts the others', async () => {
    const { batches, dropped } = keepUp(numbers(10_000), 100)
    const iterator = batches[Symbol.asyncIterator]()
    const first = await iterator.next()
    // Everything has come by then: nothing there waits for the reader.
    await new Promise((resolve) => setImmediate(resolve))
    const rest: number[] = []
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) rest.push(...next.value)
    expect(rest.length).toBeLessThanOrEqual(100)
    expect(rest.at(-1)).toBe(9_999)
    expect((first.value?.length ?? 0) + rest.length + dropped()).toBe(10_000)
  })

  it('fails when its source fails, after what came before', async () => {
    const { batches } = keepUp(
      (async function* () {
        yield [1]
        throw new Error('it broke')
      })(),
      10,
    )
    const iterator = batches[Symbol.asyncIterator]()
    expect((await iterator.next()).value).toEqual([1])
    await expect(iterator.next()).rejects.toThrow('it broke')
  })
})
