import { describe, expect, it } from 'vitest'
import { EvtError } from '../../../src/core/errors.ts'
import { brokerError } from '../../../src/transports/kafka/errors.ts'
import { type Batch, createPartitionWriter, type Order } from '../../../src/transports/kafka/partition-writer.ts'
import type { Published } from '../../../src/transports/transport.ts'

const outOfOrder = brokerError(45)
const tooLarge = brokerError(10)
const moved = brokerError(6)
const denied = brokerError(29)
const lost = () => new EvtError('connect', 'lost')

function createWorld() {
  const unknown = (cause: Error | undefined) => new EvtError('timeout', 'unknown', { cause })
  const writer = createPartitionWriter({ topic: 't', partition: 0, maxBatchBytes: 1_000, unknown })
  const states: string[] = []
  function order(name: string): Order & { end(): void } {
    let ended = false
    const note = (index: number, { state }: Published) => states.push(`${name}${index} ${state}`)
    return {
      get ended() {
        return ended
      },
      stored: note,
      failed(index, result) {
        ended = true
        note(index, result)
      },
      end() {
        ended = true
      },
    }
  }
  const push = (own: Order, count: number, bytes = 10) =>
    writer.push(Array.from({ length: count }, (_, index) => ({ content: Buffer.alloc(bytes, 2), order: own, index })))
  const next = () => {
    const batch = writer.next(1n)
    if (batch === undefined) throw new Error('no batch')
    return batch
  }
  return {
    writer,
    states,
    order,
    push,
    next,
    sequenceOf: (batch: Batch) => ({ epoch: batch.bytes.readInt16BE(51), sequence: batch.bytes.readInt32BE(53) }),
  }
}

describe('the sequence numbers of a partition', () => {
  it('allow one batch until the first is confirmed, then five', () => {
    const { writer, push, order, next, states } = createWorld()
    push(order('a'), 7, 600)
    const first = next()
    expect(writer.next(1n)).toBeUndefined()
    writer.succeeded(first, 40n)
    const more = Array.from({ length: 5 }, next)
    expect(writer.next(1n)).toBeUndefined()
    expect(more.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
    expect(states).toEqual(['a0 stored'])
  })

  it('stay the same when an answer is lost, so that the broker knows the batch again', () => {
    const { writer, push, order, next, states, sequenceOf } = createWorld()
    push(order('a'), 2)
    const batch = next()
    expect(writer.failed(batch, lost())?.action).toBe('retry')
    writer.retry()
    const again = next()
    expect(again.bytes).toBe(batch.bytes)
    expect(sequenceOf(again)).toEqual({ epoch: 0, sequence: 0 })
    // "Had it already" is a confirmation.
    writer.failed(again, brokerError(46))
    expect(states).toEqual(['a0 stored', 'a1 stored'])
    expect(writer.isIdle).toBe(true)
  })

  it('wait for all answers before anything is sent again, in its order', () => {
    const { writer, push, order, next } = createWorld()
    push(order('a'), 4, 600)
    writer.succeeded(next(), 0n)
    const [one, two] = [next(), next()]
    expect(writer.failed(one, moved)).toBeUndefined()
    expect(writer.next(1n)).toBeUndefined()
    expect(writer.failed(two, outOfOrder)?.action).toBe('retry')
    writer.retry()
    expect([next(), next()]).toEqual([one, two])
  })

  it('begin a new epoch when the broker lost them; what may be written is unknown, the rest goes on', () => {
    const { writer, push, order, next, states, sequenceOf } = createWorld()
    push(order('a'), 2, 600)
    push(order('b'), 1, 600)
    writer.succeeded(next(), 0n)
    const second = next()
    writer.failed(second, lost())
    writer.retry()
    expect(writer.failed(next(), outOfOrder)?.action).toBe('retry')
    expect(states).toEqual(['a0 stored', 'a1 unknown'])
    const third = next()
    expect(sequenceOf(third).epoch).toBeGreaterThan(0)
    expect(sequenceOf(third).sequence).toBe(0)
    writer.succeeded(third, 5n)
    expect(states.at(-1)).toBe('b0 stored')
  })

  it('close the gap of a batch that is refused, and send nothing more of its order', () => {
    const { writer, push, order, next, states } = createWorld()
    push(order('a'), 3, 600)
    push(order('b'), 1, 600)
    writer.succeeded(next(), 0n)
    const [one, two] = [next(), next()]
    writer.failed(one, denied)
    expect(writer.failed(two, outOfOrder)?.action).toBe('refuse')
    writer.refuse(new EvtError('refused', 'no'))
    expect(states).toEqual(['a0 stored', 'a1 refused'])
    const of = next()
    expect(of.sequence).toBe(1)
    writer.succeeded(of, 1n)
    expect(states.at(-1)).toBe('b0 stored')
  })

  it('split what is too large together, and refuse what is too large alone', () => {
    const { writer, push, order, next } = createWorld()
    push(order('a'), 4, 200)
    const big = next()
    expect(big.items.length).toBe(4)
    const repair = writer.failed(big, tooLarge)
    expect(repair?.action).toBe('split')
    writer.split(big.bytes.length)
    const half = next()
    expect(half.items.length).toBeLessThan(4)
    expect(half.sequence).toBe(0)
    push(order('b'), 1, 5_000)
    writer.succeeded(half, 0n)
  })

  it('are given up with orders that ended: a new epoch fences what may still be under way', () => {
    const { writer, push, order, next, sequenceOf, states } = createWorld()
    const aborted = order('a')
    push(aborted, 1)
    writer.failed(next(), lost())
    aborted.end()
    writer.retry()
    writer.prune()
    expect(writer.isIdle).toBe(true)
    push(order('b'), 1)
    const batch = next()
    expect(sequenceOf(batch).epoch).toBe(1)
    writer.succeeded(batch, 0n)
    expect(states).toEqual(['b0 stored'])
  })
})
