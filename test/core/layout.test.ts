import { describe, expect, it } from 'vitest'
import { planTopics } from '../../src/core/layout.ts'

describe('topics of a layout', () => {
  it('shards one topic, names one per type as the documents do, or has a single lane', () => {
    expect(planTopics({})).toMatchObject({ layout: 'shards', lanes: 16, fixed: ['events'] })
    expect(planTopics({ topic: 'bus', lanes: 4 }).topicOf('user.created')).toBe('bus')
    expect(planTopics({ layout: 'per-type', separator: ':' }).topicOf('user.created')).toBe('events:user.created')
    expect(planTopics({ layout: 'per-type', prefix: 'my-' })).toMatchObject({ lanes: 1, fixed: undefined })
    expect(planTopics({ layout: 'single', topic: 'all' })).toMatchObject({ lanes: 1, fixed: ['all'] })
  })

  it.each([[{ lanes: 0 }], [{ lanes: 257 }], [{ lanes: 1.5 }], [{ layout: 'single', lanes: 2 } as const]])(
    'refuses %j',
    (options) => {
      expect(() => planTopics(options)).toThrow(/cannot use .* lanes/)
    },
  )
})
