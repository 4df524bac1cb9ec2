import { expect, it } from 'vitest'
import { readAhead } from '../../../src/commands/tail/read-ahead.ts'

it('asks for one item more than was taken, ends its source when left early, and throws in turn', async () => {
  const asked: number[] = []
  let ended = 0
  async function* source() {
    try {
      for (let n = 1; n <= 3; n++) {
        asked.push(n)
        yield n
      }
      throw new Error('broken')
    } finally {
      ended++
    }
  }
  for await (const item of readAhead(source())) {
    expect(asked).toEqual([1, 2])
    if (item === 1) break
  }
  expect(ended).toBe(1)
  const taken: number[] = []
  await expect(async () => {
    for await (const item of readAhead(source())) taken.push(item)
  }).rejects.toThrow('broken')
  expect({ taken, ended }).toEqual({ taken: [1, 2, 3], ended: 2 })
})
