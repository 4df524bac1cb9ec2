import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { createPublisher, defineEvent } from '../../src/index.ts'

const registry = createRegistry([
  defineEvent('note.created', { 1: z.object({ note_id: z.uuid() }) }),
  defineEvent('note.updated', { 1: z.object({ note_id: z.uuid(), stars: z.int() }) }),
])

it('a stale sequence is refused by a publisher that checks them, and nothing else is', async () => {
  const publisher = createPublisher({
    url: `memory://${randomUUID()}`,
    source: 'test',
    registry,
    settings: { sequence: { gaps: 'skip' } },
  })
  onTestFinished(() => publisher.close({ grace: '1s' }))
  const corrupt = { kinds: ['stale-sequence'] as const, ratio: 0.2 }
  const { next, corrupted } = createGenerator({ registry, types: ['note.*'], seed: 3, nowMs: 0, corrupt })
  const events = Array.from({ length: 200 }, next)
  const sent = new Map<string, number>()
  const stale = events.filter(({ subject = '', sequence = 0 }) => {
    if (sequence <= (sent.get(subject) ?? 0)) return true
    sent.set(subject, sequence)
    return false
  })
  const outcomes = await Promise.all(events.map((event) => publisher.send(event)))
  expect(events.filter((_, at) => outcomes[at]?.state === 'refused')).toEqual(stale)
  expect(stale.length).toBeGreaterThan(10)
  // A number whose own event was spoilt is new when it comes late.
  expect(stale.length).toBeLessThanOrEqual(corrupted['stale-sequence'])
})
