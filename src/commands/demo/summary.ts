import { formatDuration } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Output } from '../../output/output.ts'
import { type Column, renderTable } from '../../output/table.ts'
import type { DeadLetterCause, Snapshot } from '../../watch/snapshot.ts'
import { type HandlerWindow, windowBetween } from '../../watch/window.ts'
import type { Written } from './writers.ts'

export interface Summary {
  readonly seconds: number
  readonly written: Written
  readonly sequenced: number
  readonly handlers: readonly HandlerSummary[]
  /** Of this run. */
  readonly deadLetters: number
  /** Open ones that the store had at the start. */
  readonly deadLettersBefore: number
  readonly causes: readonly { readonly error: string; readonly handler: string; readonly count: number }[]
}
interface HandlerSummary {
  readonly handler: string
  readonly handled: number
  readonly failed: number
  readonly dead: number
  /** From commit to handled; null without samples. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** What happened between two snapshots. */
export function summaryOf(first: Snapshot, last: Snapshot, written: Written): Summary {
  const window = windowBetween(first, last)
  const before = new Map(first.dead.causes.map((cause) => [keyOf(cause), cause.count]))
  const added = last.dead.causes
    .map(({ count, ...cause }) => ({ ...cause, count: count - (before.get(keyOf(cause)) ?? 0) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
  return {
    seconds: Number(window.seconds.toFixed(1)),
    written,
    sequenced: window.sequenced,
    handlers: window.handlers.map(handlerOf),
    // Somebody may have replayed some of the earlier ones meanwhile.
    deadLetters: Math.max(0, last.dead.open - first.dead.open),
    deadLettersBefore: first.dead.open,
    causes: added.slice(0, 5).map(({ error, handler, count }) => ({ error, handler, count })),
  }
}

const keyOf = ({ cause, handler, type }: Pick<DeadLetterCause, 'cause' | 'handler' | 'type'>) =>
  `${cause}\n${handler}\n${type}`

function handlerOf({ handler, handled, failed, dead, endToEnd }: HandlerWindow): HandlerSummary {
  const ms = (us: number | undefined) => (us === undefined ? null : Number((us / 1000).toFixed(2)))
  return { handler, handled, failed, dead, p50Ms: ms(endToEnd.percentile(0.5)), p99Ms: ms(endToEnd.percentile(0.99)) }
}

const columns: readonly Column<HandlerSummary>[] = [
  { head: 'HANDLER', cell: ({ handler }) => handler, grows: true },
  { head: 'HANDLED', cell: ({ handled }) => formatCount(handled), align: 'right' },
  { head: 'FAILED', cell: ({ failed }) => formatCount(failed), align: 'right' },
  { head: 'DEAD', cell: ({ dead }) => formatCount(dead), align: 'right' },
  { head: 'P50 MS', cell: ({ p50Ms }) => p50Ms, align: 'right' },
  { head: 'P99 MS', cell: ({ p99Ms }) => p99Ms, align: 'right' },
]

export function renderSummary(summary: Summary, output: Output): string {
  const { written, sequenced, handlers, deadLetters, causes } = summary
  const handled = handlers.reduce((sum, handler) => sum + handler.handled, 0)
  const before = summary.deadLettersBefore > 0 ? `; before: ${formatCount(summary.deadLettersBefore)}` : ''
  return [
    `${formatDuration(summary.seconds * 1000)}: ${formatCount(written.transactions)} transactions of the application, ${formatCount(written.rolledBack)} rolled back, ${formatCount(written.published)} events published beside them`,
    `${formatCount(sequenced)} events sequenced, ${formatCount(handled)} times handled, ${formatCount(deadLetters)} dead letters (${formatCount(written.poisoned)} writes were poisoned on purpose${before})`,
    '',
    renderTable(handlers, columns, output),
    ...(causes.length > 0 ? [`${paintedCauses(summary)}\n`] : []),
    'Next, in a terminal: evt demo opens the dashboard. While it runs, from a second one:',
    "  evt tail 'user.*'   evt gen user.created --count 10   evt dlq list   evt dash",
  ].join('\n')
}

const paintedCauses = ({ causes }: Summary) =>
  causes.map(({ error, handler, count }) => `  ${formatCount(count)} × ${handler}: ${error}`).join('\n')
