import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAcks } from '../../../src/transports/rabbitmq/acks.ts'

/** What a broker does: an unknown tag closes the channel. */
function createBroker(count: number) {
  const unacked = new Set(Array.from({ length: count }, (_, i) => i + 1))
  let frames = 0
  return {
    unacked,
    get frames() {
      return frames
    },
    ack(tag: number, multiple: boolean) {
      frames++
      if (!unacked.has(tag)) throw new Error(`PRECONDITION_FAILED - unknown delivery tag ${tag}`)
      for (const one of unacked) if (one === tag || (multiple && one < tag)) unacked.delete(one)
    },
  }
}

describe('acks', () => {
  it('acknowledges exactly what is settled, whatever the order, and no tag twice', () => {
    const batches = fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }), { maxLength: 30 })
    fc.assert(
      fc.property(batches, (settled) => {
        const broker = createBroker(40)
        const acks = createAcks(broker.ack)
        for (const [i, tags] of settled.entries()) {
          acks.settle(tags)
          if (i % 3 === 0) acks.flush()
        }
        acks.flush()
        const left = Array.from({ length: 40 }, (_, i) => i + 1).filter((tag) => !settled.flat().includes(tag))
        expect([...broker.unacked]).toEqual(left)
      }),
    )
  })

  it('says a whole prefix in one frame', () => {
    const broker = createBroker(500)
    const acks = createAcks(broker.ack)
    for (let tag = 1; tag <= 500; tag++) acks.settle([tag])
    acks.flush()
    expect([broker.unacked.size, broker.frames]).toEqual([0, 1])
  })
})
