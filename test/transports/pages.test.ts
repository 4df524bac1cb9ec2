import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LogEntry, LogReader } from '../../src/store/log.ts'
import { createPages } from '../../src/transports/postgres/pages.ts'

function entryAt(position: bigint): LogEntry {
  return {
    position,
    slot: 0,
    sequencedMs: 0,
    recordedMs: 0,
    id: `${position}`,
    type: 't',
    subject: null,
    headers: {},
    dataText: 'x'.repeat(100),
    class: 'default',
    priority: 'normal',
  }
}

/** A log with gaps, whose answers arrive only when told: the head moves while they are on their way. */
function createLog(positions: readonly bigint[]) {
  let head = 0n
  const pending: (() => void)[] = []
  const read: LogReader['read'] = (after, max) => {
    const found = positions.filter((position) => position > after && position <= head).slice(0, max)
    return new Promise((resolve) => pending.push(() => resolve(found.map(entryAt))))
  }
  return {
    reader: { read } as LogReader,
    answer: () => pending.shift()?.(),
    advance(to: bigint) {
      const entries = positions.filter((position) => position > head && position <= to).map(entryAt)
      head = entries.at(-1)?.position ?? head
      return entries
    },
  }
}

it('shows a lane that reads behind a moving tip every entry once and in order, over gaps and page ends', async () => {
  const positions = fc
    .uniqueArray(fc.nat(3_000), { minLength: 1, maxLength: 400 })
    .map((some) => some.map((n) => BigInt(n + 1)).toSorted((a, b) => Number(a - b)))
  await fc.assert(
    fc.asyncProperty(positions, fc.infiniteStream(fc.nat(600)), async (all, steps) => {
      const log = createLog(all)
      // What was there before is in no page yet, nor is what follows in the same one.
      let tip = log.advance(BigInt(steps.next().value)).at(-1)?.position ?? 0n
      const pages = createPages(log.reader, () => tip)
      const last = all.at(-1) ?? 0n
      const seen: bigint[] = []
      // As the feed does: to the entries of the next read, wherever a gap ends.
      const move = () => {
        const next = all.find((position) => position > tip) ?? tip
        const entries = log.advance(next + BigInt(steps.next().value))
        pages.append(entries, tip)
        tip = entries.at(-1)?.position ?? tip
      }
      let cursor = 0n
      for (let i = 0; i < 20_000 && cursor < last; i++) {
        if (i % 3 === 0) move()
        const span = pages.peek(cursor)
        if (span === undefined) {
          const loading = pages.load(cursor)
          if (i % 2 === 0) move()
          log.answer()
          await loading
        } else {
          seen.push(...span.entries.map(({ position }) => position))
          cursor = span.upTo
        }
      }
      expect(seen).toEqual(all)
    }),
    { numRuns: 400 },
  )
})
