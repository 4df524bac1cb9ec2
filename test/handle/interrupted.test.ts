import { describe, expect, it } from 'vitest'
import { createInterrupted } from '../../src/handle/interrupted.ts'
import type { Received } from '../../src/transports/transport.ts'

const received = (deliveries: number, id = 'a'): Received => ({
  id,
  key: null,
  headers: {},
  body: Buffer.alloc(0),
  topic: 'events',
  at: '1',
  deliveries,
})

describe('what was interrupted here', () => {
  const rows: readonly [string, readonly number[], readonly number[]][] = [
    ['counts no death for each loss', [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1]],
    ['counts those that were there before', [3, 4, 5], [3, 3, 3]],
    ['counts nothing off where nothing was counted', [2, 2, 2], [2, 2, 2]],
    ['counts the deaths of others in between', [1, 4, 5, 7], [1, 3, 3, 4]],
    ['begins anew with a message that does', [1, 2, 3, 1, 2], [1, 1, 1, 1, 1]],
  ]
  for (const [name, deliveries, expected] of rows) {
    it(name, () => {
      const interrupted = createInterrupted()
      const told = deliveries.map((count) => {
        const [message] = interrupted.forgive([received(count)])
        if (message === undefined) throw new Error('no message')
        interrupted.lost([message])
        return message.deliveries
      })
      expect(told).toEqual(expected)
    })
  }

  it('leaves others alone, and remembers no more than it may', () => {
    const interrupted = createInterrupted(2)
    interrupted.lost([received(1, 'a'), received(1, 'b'), received(1, 'c')])
    const told = interrupted.forgive([received(2, 'a'), received(2, 'b'), received(2, 'c'), received(2, 'd')])
    expect(told.map(({ deliveries }) => deliveries)).toEqual([2, 1, 1, 2])
  })
})
