import { describe, expect, it } from 'vitest'
import { createDenials } from '../../src/serve/denials.ts'

describe('denials', () => {
  it('become a hundred rows at most, and one for all others', async () => {
    const rows = new Map<string, number>()
    const denials = createDenials(
      async ({ who }, times) => void rows.set(who, (rows.get(who) ?? 0) + times),
      (error) => expect.fail(String(error)),
    )
    for (let n = 0; n < 5_000; n++)
      denials.note({ who: `address 10.0.${n >> 8}.${n & 255}`, target: 'POST /events', reason: 'a token is missing' })
    await denials.close()
    expect(rows.size).toBe(101)
    expect(rows.get('others')).toBe(4_900)
  })

  it('are told again where telling them failed', async () => {
    let fails = true
    const told: number[] = []
    const denials = createDenials(
      async (_, times) => {
        if (fails) throw new Error('the store is away')
        told.push(times)
      },
      () => {
        fails = false
      },
    )
    const denial = { who: 'address 10.0.0.1', target: 'GET /events', reason: 'a token is missing' }
    denials.note(denial)
    await denials.close()
    denials.note(denial)
    await denials.close()
    expect(told).toEqual([2])
  })
})
