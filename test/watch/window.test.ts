import { describe, expect, it } from 'vitest'
import { windowBetween } from '../../src/watch/window.ts'
import { handlerSample, instanceSample, snapshotAt, times } from '../ui/samples.ts'

const bridge = (name: string, handled: number, endToEnd: string, startedAt = '2026-11-21T08:00:00.000Z') =>
  instanceSample({ instance: name, startedAt, handlers: [handlerSample({ handled, endToEnd })], sequenced: handled })

describe('windowBetween', () => {
  it('subtracts the earlier snapshot from the later one', () => {
    const earlier = snapshotAt(10, { instances: [bridge('a', 100, times(1, 1, 1))] })
    const later = snapshotAt(12, { instances: [bridge('a', 160, times(1, 1, 1, 50, 50))] })
    const window = windowBetween(earlier, later)
    expect(window.seconds).toBe(2)
    expect(window.sequenced).toBe(60)
    expect(window.handlers[0]?.handled).toBe(60)
    expect(window.handlers[0]?.endToEnd.count).toBe(2)
    expect(window.handlers[0]?.endToEnd.percentile(0.5)).toBeGreaterThan(49_000)
  })

  it('adds the histograms of several bridges instead of averaging their percentiles', () => {
    const slow = bridge('slow', 1, times(900))
    const fast = bridge('fast', 99, times(...Array.from({ length: 99 }, () => 1)))
    const [handler] = windowBetween(undefined, snapshotAt(5, { instances: [slow, fast] })).handlers
    expect(handler?.handled).toBe(100)
    expect(handler?.endToEnd.percentile(0.99)).toBeLessThan(1_020)
    expect(handler?.endToEnd.max).toBe(900_000)
  })

  it('takes everything as new when a process started again under the same name', () => {
    const earlier = snapshotAt(10, { instances: [bridge('a', 1000, times(1))] })
    const later = snapshotAt(11, { instances: [bridge('a', 7, times(2), '2026-11-21T08:00:10.500Z')] })
    expect(windowBetween(earlier, later).handlers[0]?.handled).toBe(7)
  })

  it('shows the worst health and the total in flight of all bridges', () => {
    const instances = [
      instanceSample({ instance: 'a', handlers: [handlerSample({ inFlight: 2 })] }),
      instanceSample({
        instance: 'b',
        handlers: [handlerSample({ inFlight: 3, health: 'failing', lastError: 'boom' })],
      }),
    ]
    const [handler] = windowBetween(undefined, snapshotAt(1, { instances })).handlers
    expect(handler).toMatchObject({ inFlight: 5, health: 'failing', lastError: 'boom' })
  })
})
