import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, type GroupMember } from '../../../src/transports/kafka/assign.ts'

const place = (topic: string, partition: number) => ({ topic, partition })
const member = (id: string, owned: readonly number[] = [], overrides: Partial<GroupMember> = {}): GroupMember => ({
  id,
  topics: ['t'],
  owned: owned.map((partition) => place('t', partition)),
  generation: 1,
  isClaiming: true,
  ...overrides,
})
const partitions = (members: readonly GroupMember[], count: number) =>
  Object.fromEntries(
    [...assign(members, new Map([['t', count]]))].map(([id, own]) => [id, own.map(({ partition }) => partition)]),
  )

describe('who gets which partitions', () => {
  it('is fair', () => {
    expect(partitions([member('a'), member('b')], 5)).toEqual({ a: [0, 1, 2], b: [3, 4] })
    expect(partitions([member('a'), member('b'), member('c')], 2)).toEqual({ a: [0], b: [1], c: [] })
  })

  it('moves as few as it can, and none before its owner gave it back', () => {
    expect(partitions([member('a', [0, 1, 2, 3]), member('b')], 4)).toEqual({ a: [0, 1], b: [] })
    expect(partitions([member('a', [0, 1]), member('b')], 4)).toEqual({ a: [0, 1], b: [2, 3] })
    expect(partitions([member('a', [2]), member('b', [0, 1, 3])], 4)).toEqual({ a: [2], b: [0, 1] })
  })

  it('leaves to a member that claims nothing more what it has', () => {
    expect(partitions([member('a', [1], { isClaiming: false }), member('b')], 3)).toEqual({ a: [1], b: [0, 2] })
  })

  it('believes the newer of two owners, and neither of two equals', () => {
    expect(partitions([member('a', [0], { generation: 3 }), member('b', [0, 1], { generation: 5 })], 2)).toEqual({
      a: [],
      b: [0],
    })
    expect(partitions([member('a', [0]), member('b', [0])], 1)).toEqual({ a: [0], b: [] })
  })

  it('never gives one to two, nor one that somebody else still owns, and ends fair', () => {
    const topics = ['t', 'u']
    fc.assert(
      fc.property(
        fc.array(fc.record({ topics: fc.subarray(topics, { minLength: 1 }), isClaiming: fc.boolean() }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.nat(9),
        fc.nat(9),
        (shapes, first, second) => {
          const counts = new Map([
            ['t', first],
            ['u', second],
          ])
          let owned = new Map<string, readonly { topic: string; partition: number }[]>()
          for (let round = 1; round <= 4; round++) {
            const members = shapes.map((shape, i) => ({
              id: `m${i}`,
              generation: round,
              owned: owned.get(`m${i}`) ?? [],
              ...shape,
            }))
            const given = assign(members, counts)
            const keys = [...given.values()].flat().map(({ topic, partition }) => `${topic}/${partition}`)
            expect(new Set(keys).size).toBe(keys.length)
            for (const { id } of members) {
              const others = members.filter((other) => other.id !== id).flatMap((other) => other.owned)
              for (const { topic, partition } of given.get(id) ?? [])
                expect(others.some((other) => other.topic === topic && other.partition === partition)).toBe(false)
            }
            owned = new Map(given)
          }
          for (const topic of topics) {
            const claiming = shapes.flatMap((shape, i) =>
              shape.isClaiming && shape.topics.includes(topic) ? [`m${i}`] : [],
            )
            const sizes = claiming.map((id) => (owned.get(id) ?? []).filter((own) => own.topic === topic).length)
            if (sizes.length > 0) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
            if (sizes.length > 0) expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(counts.get(topic))
          }
        },
      ),
    )
  })
})
