import { formatDuration } from '../../core/duration.ts'
import { createHistogram } from '../../core/histogram.ts'
import { formatCount } from '../../core/quantity.ts'
import { visible } from '../../core/visible.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import type { Output } from '../../output/output.ts'
import { type Column, cut, renderTable } from '../../output/table.ts'
import type { DeadLetterCause, Snapshot } from '../../watch/snapshot.ts'
import { type HandlerWindow, windowBetween } from '../../watch/window.ts'
import type { SagaCounts } from './saga-counts.ts'
import type { Written } from './writers.ts'

export interface Summary {
  readonly seconds: number
  readonly written: Written
  readonly sequenced: number
  readonly services: readonly ServiceSummary[]
  readonly handlers: readonly HandlerSummary[]
  /** Completed and failed ones are those of this run. */
  readonly sagas: readonly SagaCounts[]
  /** Of this run. */
  readonly deadLetters: number
  /** Open ones that the store had at the start. */
  readonly deadLettersBefore: number
  readonly causes: readonly { readonly error: string; readonly handler: string; readonly count: number }[]
}
interface Handled {
  readonly handled: number
  readonly failed: number
  readonly dead: number
  /** From commit to handled; null without samples. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}
interface HandlerSummary extends Handled {
  readonly handler: string
}
interface ServiceSummary extends Handled {
  readonly service: string
  readonly sagas: Omit<SagaCounts, 'saga'>
}

/** What a demo looks at. */
export interface Seen {
  readonly snapshot: Snapshot
  readonly sagas: readonly SagaCounts[]
}

export interface Between {
  readonly first: Seen
  readonly last: Seen
  readonly written: Written
  readonly services: readonly Pick<ServiceDefinition, 'name' | 'handlers' | 'sagas'>[]
}

/** What happened between two looks. */
export function summaryOf({ first, last, written, services }: Between): Summary {
  const window = windowBetween(first.snapshot, last.snapshot)
  const [then, now] = [first.snapshot.dead, last.snapshot.dead]
  const before = new Map(then.causes.map((cause) => [keyOf(cause), cause.count]))
  const added = now.causes
    .map(({ count, ...cause }) => ({ ...cause, count: count - (before.get(keyOf(cause)) ?? 0) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
  const sagas = last.sagas.map((saga) => since(saga, first.sagas))
  return {
    seconds: Number(window.seconds.toFixed(1)),
    written,
    sequenced: window.sequenced,
    services: services.map(({ name, handlers, sagas: own = [] }) => {
      const names = new Set([...handlers, ...own].map((one) => one.name))
      return {
        service: name,
        ...handledOf(window.handlers.filter(({ handler }) => names.has(handler))),
        sagas: sumOf(sagas.filter(({ saga }) => names.has(saga))),
      }
    }),
    handlers: window.handlers.map((one) => ({ handler: one.handler, ...handledOf([one]) })),
    sagas,
    // Somebody may have replayed some of the earlier ones meanwhile.
    deadLetters: Math.max(0, now.open - then.open),
    deadLettersBefore: then.open,
    causes: added.slice(0, mostCauses).map(({ error, handler, count }) => ({ error, handler, count })),
  }
}

const mostCauses = 8

const keyOf = ({ cause, handler, type }: Pick<DeadLetterCause, 'cause' | 'handler' | 'type'>) =>
  `${cause}\n${handler}\n${type}`

function since(now: SagaCounts, before: readonly SagaCounts[]): SagaCounts {
  const then = before.find(({ saga }) => saga === now.saga)
  return {
    ...now,
    completed: now.completed - (then?.completed ?? 0),
    failed: now.failed - (then?.failed ?? 0),
  }
}

function sumOf(sagas: readonly SagaCounts[]): ServiceSummary['sagas'] {
  const of = (name: keyof ServiceSummary['sagas']) => sagas.reduce((sum, saga) => sum + saga[name], 0)
  return { running: of('running'), completed: of('completed'), failed: of('failed'), stuck: of('stuck') }
}

function handledOf(windows: readonly HandlerWindow[]): Handled {
  const times = createHistogram()
  for (const { endToEnd } of windows) times.add(endToEnd)
  const of = (name: 'handled' | 'failed' | 'dead') => windows.reduce((sum, window) => sum + window[name], 0)
  const ms = (us: number | undefined) => (us === undefined ? null : Number((us / 1000).toFixed(2)))
  return {
    handled: of('handled'),
    failed: of('failed'),
    dead: of('dead'),
    p50Ms: ms(times.percentile(0.5)),
    p99Ms: ms(times.percentile(0.99)),
  }
}

const handledColumns: readonly Column<Handled>[] = [
  { head: 'HANDLED', cell: ({ handled }) => formatCount(handled), align: 'right' },
  { head: 'FAILED', cell: ({ failed }) => formatCount(failed), align: 'right' },
  { head: 'DEAD', cell: ({ dead }) => formatCount(dead), align: 'right' },
  { head: 'P50 MS', cell: ({ p50Ms }) => p50Ms?.toFixed(1), align: 'right' },
  { head: 'P99 MS', cell: ({ p99Ms }) => p99Ms?.toFixed(1), align: 'right' },
]
const handlerColumns: readonly Column<HandlerSummary>[] = [
  { head: 'HANDLER', cell: ({ handler }) => handler, grows: true },
  ...handledColumns,
]
const serviceColumns: readonly Column<ServiceSummary>[] = [
  { head: 'SERVICE', cell: ({ service }) => service },
  ...handledColumns,
  { head: 'SAGAS RUN', cell: ({ sagas }) => formatCount(sagas.running + sagas.stuck), align: 'right' },
  { head: 'DONE', cell: ({ sagas }) => formatCount(sagas.completed), align: 'right' },
  { head: 'UNDONE', cell: ({ sagas }) => formatCount(sagas.failed), align: 'right' },
]

/** No line is wider than a terminal of 80 columns; each handler stands in it with --verbose. */
export function renderSummary(summary: Summary, output: Output): string {
  const { written, sequenced, services, handlers, deadLetters, deadLettersBefore, causes } = summary
  const handled = handlers.reduce((sum, handler) => sum + handler.handled, 0)
  return [
    `${formatDuration(summary.seconds * 1000)}: ${formatCount(written.transactions)} transactions of the application, ${formatCount(written.rolledBack)} rolled back,`,
    `${formatCount(written.published)} events published beside them; ${formatCount(sequenced)} sequenced, ${formatCount(handled)} times handled`,
    '',
    renderTable(services, serviceColumns, output),
    ...(output.verbosity === 'verbose' ? [renderTable(handlers, handlerColumns, output)] : []),
    `${formatCount(deadLetters)} dead letters: ${formatCount(written.poisoned)} writes were poisoned on purpose${deadLettersBefore > 0 ? `; before: ${formatCount(deadLettersBefore)}` : ''}`,
    ...causes.map(({ error, handler, count }) => {
      const line = `  ${formatCount(count)} × ${handler}: ${visible(error)}`
      return output.isTTY ? cut(line, output.columns) : line
    }),
    '',
    'Next: evt demo in a terminal opens the dashboard; while it runs, in a second one',
    "  evt tail 'user.*'   evt saga list   evt dlq list   evt dash",
  ].join('\n')
}
