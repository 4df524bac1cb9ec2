import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPriorityQueue, type Queued } from '../../src/publish/priority-queue.ts'

interface Item extends Queued {
  readonly n: number
}
const item = (n: number, level: number, key: string | null = null): Item => ({ n, level, key })

function drained(queue: ReturnType<typeof createPriorityQueue<Item>>): Item[] {
  const all: Item[] = []
  for (let next = queue.shift(); next; next = queue.shift()) all.push(next)
  return all
}

describe('the queue by priority', () => {
  it('of 15 sends 8, 4, 2 and 1 while all have something: nothing starves', () => {
    const queue = createPriorityQueue<Item>()
    for (let n = 0; n < 1_500; n++) for (const level of [3, 2, 1, 0]) queue.push(item(n, level))
    const first = Array.from({ length: 1_500 }, () => queue.shift()?.level)
    const counts = [0, 1, 2, 3].map((level) => first.filter((one) => one === level).length)
    expect(counts).toEqual([800, 400, 200, 100])
    expect(queue.size).toBe(4_500)
  })

  it('a flood of critical events does not stop one of the lowest', () => {
    const queue = createPriorityQueue<Item>()
    queue.push(item(-1, 3))
    let place = -1
    for (let n = 0; n < 100 && place < 0; n++) {
      queue.push(item(n, 0))
      queue.push(item(n, 0))
      if (queue.shift()?.n === -1) place = n
    }
    expect(place).toBeGreaterThanOrEqual(0)
    expect(place).toBeLessThan(16)
  })

  it('an urgent event takes those of its subject along that came before it', () => {
    const queue = createPriorityQueue<Item>()
    queue.push(item(1, 3, 'a'))
    for (let n = 10; n < 20; n++) queue.push(item(n, 2))
    queue.push(item(2, 0, 'a'))
    queue.push(item(3, 3, 'a'))
    expect([queue.shift()?.n, queue.shift()?.n]).toEqual([1, 2])
    expect(
      drained(queue)
        .filter(({ key }) => key === 'a')
        .map(({ n }) => n),
    ).toEqual([3])
  })

  it('gives critical lines only, when asked', () => {
    const queue = createPriorityQueue<Item>()
    queue.push(item(1, 2, 'a'))
    queue.push(item(2, 2, 'b'))
    expect([queue.hasCritical, queue.shift('critical')]).toEqual([false, undefined])
    queue.push(item(3, 0, 'b'))
    expect(queue.hasCritical).toBe(true)
    expect([queue.shift('critical')?.n, queue.shift('critical')?.n, queue.hasCritical]).toEqual([2, 3, false])
    expect([queue.size, queue.shift()?.n, queue.size]).toEqual([1, 1, 0])
  })

  it('gives back everything once, each subject in its order, whatever comes and goes', () => {
    const step = fc.oneof(
      fc.record({ level: fc.integer({ min: 0, max: 3 }), key: fc.constantFrom(null, 'a', 'b', 'c') }),
      fc.constant('take' as const),
      fc.constant('critical' as const),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = createPriorityQueue<Item>()
        const given: Item[] = []
        const got: Item[] = []
        for (const one of steps) {
          if (typeof one === 'string') {
            const next = queue.shift(one === 'critical' ? 'critical' : undefined)
            if (next) got.push(next)
          } else {
            const made = item(given.length, one.level, one.key)
            given.push(made)
            queue.push(made)
          }
          expect(queue.size).toBe(given.length - got.length)
        }
        got.push(...drained(queue))
        expect(got.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(given.map(({ n }) => n))
        for (const key of ['a', 'b', 'c']) {
          const mine = got.filter((one) => one.key === key).map(({ n }) => n)
          expect(mine).toEqual(mine.toSorted((a, b) => a - b))
        }
      }),
    )
  })
})
