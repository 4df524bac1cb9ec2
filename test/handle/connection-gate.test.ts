import { describe, expect, it } from 'vitest'
import { priorities } from '../../src/core/event.ts'
import { createConnectionGate } from '../../src/handle/connection-gate.ts'

describe('the gate before connections', () => {
  it('gives higher classes more, and starves nobody', async () => {
    const gate = createConnectionGate(1)
    const first = await gate.enter('normal')
    const order: string[] = []
    const waiting = priorities.flatMap((priority) =>
      Array.from({ length: 60 }, async () => {
        const leave = await gate.enter(priority)
        order.push(priority)
        leave()
      }),
    )
    first()
    await Promise.all(waiting)
    const early = order.slice(0, 60)
    const count = (priority: string) => early.filter((one) => one === priority).length
    expect([count('critical'), count('high'), count('normal'), count('low')]).toEqual([32, 16, 8, 4])
    expect(order).toHaveLength(240)
  })

  it('lets in no more than it has places for, and counts a place once', async () => {
    const gate = createConnectionGate(2)
    const leaves = await Promise.all([gate.enter('low'), gate.enter('low')])
    let entered = 0
    const third = gate.enter('critical').then(() => entered++)
    const fourth = gate.enter('critical').then(() => entered++)
    expect(entered).toBe(0)
    leaves[0]?.()
    leaves[0]?.()
    await third
    expect(entered).toBe(1)
    leaves[1]?.()
    await fourth
    expect(entered).toBe(2)
  })
})
