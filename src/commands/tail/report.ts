import { formatCount, formatSize } from '../../core/quantity.ts'
import { typeText } from '../../core/visible.ts'
import type { Output } from '../../output/output.ts'
import { type Column, renderTable } from '../../output/table.ts'
import type { Seen } from './source.ts'

export interface Flow {
  readonly type: string
  readonly count: number
  readonly bytes: number
  /** Over the time between the first and the last event of all types; null when there is none. */
  readonly perSecond: number | null
}

export interface Report {
  add(seen: Seen): void
  /** What flows, the most frequent first. */
  flows(): readonly Flow[]
}

/** Types that one report keeps apart; a source with more of them counts the rest as `(others)`. */
const mostTypes = 10_000

export function createReport(): Report {
  const counts = new Map<string, { count: number; bytes: number }>()
  let firstMs = Number.POSITIVE_INFINITY
  let lastMs = Number.NEGATIVE_INFINITY
  return {
    add({ event, dataText, recordedMs }) {
      const type = counts.has(event.type) || counts.size < mostTypes ? event.type : '(others)'
      const found = counts.get(type) ?? { count: 0, bytes: 0 }
      found.count++
      found.bytes += dataText.length
      counts.set(type, found)
      firstMs = Math.min(firstMs, recordedMs)
      lastMs = Math.max(lastMs, recordedMs)
    },
    flows() {
      const seconds = (lastMs - firstMs) / 1000
      const rateOf = (count: number) => (seconds > 0 ? Number((count / seconds).toFixed(1)) : null)
      return [...counts]
        .map(([type, { count, bytes }]) => ({ type, count, bytes, perSecond: rateOf(count) }))
        .sort((a, b) => b.count - a.count)
    },
  }
}

const columns: readonly Column<Flow>[] = [
  { head: 'TYPE', cell: ({ type }) => typeText(type), grows: true },
  { head: 'COUNT', cell: ({ count }) => formatCount(count), align: 'right' },
  { head: 'RATE/S', cell: ({ perSecond }) => perSecond, align: 'right' },
  { head: 'DATA', cell: ({ bytes }) => formatSize(bytes), align: 'right' },
]

export const renderFlows = (flows: readonly Flow[], output: Output) => renderTable(flows, columns, output)
