import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createGate } from '../../src/ui/gate.ts'
import { type TailLine, tailLines } from '../../src/ui/state/model.ts'
import type { Action } from '../../src/ui/state/update.ts'
import { snapshotAt } from './samples.ts'

const lines = (count: number, from = 0): readonly TailLine[] =>
  Array.from({ length: count }, (_, index) => ({
    id: String(from + index),
    timeMs: 0,
    type: 'user.created',
    subject: '',
    position: '',
    data: '{}',
  }))

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function open() {
  const emitted: Action[] = []
  const terminal = { busy: false }
  const gate = createGate({ emit: (action) => emitted.push(action), busy: () => terminal.busy, everyMs: 100 })
  return { gate, emitted, terminal }
}

describe('createGate', () => {
  it('passes on one batch an interval, events before the snapshot that counts them', () => {
    const { gate, emitted } = open()
    gate.push({ type: 'events', lines: lines(2), skipped: 1 })
    gate.push({ type: 'snapshot', snapshot: snapshotAt(1) })
    gate.push({ type: 'events', lines: lines(1, 2), skipped: 4 })
    expect(emitted).toEqual([])
    vi.advanceTimersByTime(100)
    expect(emitted).toEqual([
      { type: 'events', lines: lines(3), skipped: 5 },
      { type: 'snapshot', snapshot: snapshotAt(1) },
    ])
    vi.advanceTimersByTime(1000)
    expect(emitted).toHaveLength(2)
    gate.close()
  })

  it('holds no more than the newest while the terminal is behind, and counts the rest', () => {
    const { gate, emitted, terminal } = open()
    terminal.busy = true
    for (let batch = 0; batch < 50; batch += 1) {
      gate.push({ type: 'events', lines: lines(100, batch * 100), skipped: 2 })
      gate.push({ type: 'snapshot', snapshot: snapshotAt(batch) })
      vi.advanceTimersByTime(100)
    }
    expect(emitted).toEqual([])
    terminal.busy = false
    vi.advanceTimersByTime(100)
    expect(emitted).toEqual([
      { type: 'events', lines: lines(tailLines, 5000 - tailLines), skipped: 100 + 5000 - tailLines },
      { type: 'snapshot', snapshot: snapshotAt(49) },
    ])
    gate.close()
  })

  it('says what is wrong last, unless a snapshot came after it', () => {
    const { gate, emitted } = open()
    gate.push({ type: 'snapshot', snapshot: snapshotAt(1) })
    gate.push({ type: 'trouble', message: 'away' })
    vi.advanceTimersByTime(100)
    expect(emitted.map(({ type }) => type)).toEqual(['snapshot', 'trouble'])
    gate.push({ type: 'trouble', message: 'away' })
    gate.push({ type: 'snapshot', snapshot: snapshotAt(2) })
    vi.advanceTimersByTime(100)
    expect(emitted.slice(2)).toEqual([{ type: 'snapshot', snapshot: snapshotAt(2) }])
    gate.close()
  })

  it('is silent once it is closed', () => {
    const { gate, emitted } = open()
    gate.push({ type: 'trouble', message: 'away' })
    gate.close()
    vi.advanceTimersByTime(1000)
    expect(emitted).toEqual([])
  })
})
