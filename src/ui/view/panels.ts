import { typeText, visible } from '../../core/visible.ts'
import type { DeadLetterCause, HandlerBacklog } from '../../watch/snapshot.ts'
import type { Model, Panel, TailLine } from '../state/model.ts'
import { backlogRows, deadRows, type HandlerRow, handlerRows, tailRows } from '../state/rows.ts'
import { type Column, renderTable } from './table.ts'
import { age, type Line, milliseconds, perSecond, short, sparkline, type Tone } from './text.ts'

const healthMark = { healthy: '●', degraded: '▲', failing: '✖' } as const
const healthTone = { healthy: 'good', degraded: 'warn', failing: 'bad' } as const

export const stoppedMark = { paused: '‖', broken: '⊘', unhealthy: '✖', nobody: '○' } as const
const stoppedTone = { paused: 'warn', broken: 'bad', unhealthy: 'bad', nobody: 'warn' } as const

const stateOf = ({ stopped, health }: HandlerRow) => (stopped ? stoppedMark[stopped.state] : healthMark[health])
const stateTone = ({ stopped, health }: HandlerRow): Tone => (stopped ? stoppedTone[stopped.state] : healthTone[health])
const percent = (share: number) => (share === 0 ? '0' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`)
const latency = (q: number) => (row: HandlerRow) => milliseconds(row.endToEnd.percentile(q))

const handlerColumns: readonly Column<HandlerRow>[] = [
  { title: '', width: 1, align: 'left', keep: 0, cell: stateOf, tone: stateTone },
  { title: 'handler', width: 18, align: 'left', keep: 1, cell: (row) => row.handler, grows: true },
  { title: 'rate/s', width: 7, align: 'right', keep: 2, cell: (row) => perSecond(row.perSecond) },
  { title: 'p50', width: 6, align: 'right', keep: 4, cell: latency(0.5) },
  { title: 'p95', width: 6, align: 'right', keep: 7, cell: latency(0.95) },
  { title: 'p99', width: 6, align: 'right', keep: 3, cell: latency(0.99) },
  { title: 'max', width: 6, align: 'right', keep: 8, cell: (row) => milliseconds(row.endToEnd.max) },
  {
    title: 'err',
    width: 5,
    align: 'right',
    keep: 5,
    cell: (row) => percent(row.errorRate),
    tone: (row) => (row.errorRate > 0.05 ? 'bad' : row.errorRate > 0 ? 'warn' : 'dim'),
  },
  { title: 'run', width: 4, align: 'right', keep: 9, cell: (row) => short(row.inFlight) },
  { title: 'lag', width: 6, align: 'right', keep: 6, cell: (row) => short(row.backlog?.lagEvents ?? 0) },
  {
    title: 'last minute',
    width: 20,
    align: 'left',
    keep: 10,
    cell: (row) => sparkline(row.recent, 20),
    tone: () => 'accent',
  },
]

const backlogColumns: readonly Column<HandlerBacklog>[] = [
  { title: 'handler', width: 20, align: 'left', keep: 0, cell: (row) => row.handler, grows: true },
  { title: 'lag', width: 9, align: 'right', keep: 1, cell: (row) => short(row.lagEvents) },
  { title: 'oldest', width: 7, align: 'right', keep: 2, cell: (row) => age(row.oldestAgeMs) },
  { title: 'retrying', width: 8, align: 'right', keep: 3, cell: (row) => short(row.retrying) },
  {
    title: 'parked subjects',
    width: 15,
    align: 'right',
    keep: 4,
    cell: (row) => short(row.parkedSubjects),
    tone: (row) => (row.parkedSubjects > 0 ? 'warn' : 'plain'),
  },
]

const deadColumns: readonly Column<DeadLetterCause>[] = [
  { title: 'count', width: 6, align: 'right', keep: 0, cell: (row) => short(row.count), tone: () => 'bad' },
  { title: 'cause', width: 8, align: 'left', keep: 3, cell: (row) => row.cause },
  { title: 'handler', width: 22, align: 'left', keep: 2, cell: (row) => row.handler },
  { title: 'type', width: 18, align: 'left', keep: 4, cell: (row) => visible(typeText(row.type)) },
  { title: 'last', width: 8, align: 'left', keep: 5, cell: (row) => row.lastAt.slice(11, 19) },
  { title: 'error', width: 16, align: 'left', keep: 1, cell: (row) => visible(row.error), grows: true },
]

const tailColumns: readonly Column<TailLine>[] = [
  {
    title: 'time',
    width: 12,
    align: 'left',
    keep: 2,
    cell: (row) => new Date(row.timeMs).toISOString().slice(11, 23),
    tone: () => 'dim',
  },
  {
    title: 'type',
    width: 22,
    align: 'left',
    keep: 0,
    cell: (row) => visible(typeText(row.type)),
    tone: () => 'accent',
  },
  { title: 'subject', width: 18, align: 'left', keep: 1, cell: (row) => visible(row.subject) },
  { title: 'data', width: 10, align: 'left', keep: 3, cell: (row) => visible(row.data), grows: true },
]

function noHandlers(model: Model): string {
  const latest = model.snapshots.at(-1)
  if (!latest) return 'waiting for the store …'
  if (!latest.instances.some((one) => one.alive)) return 'no bridge is running: start one with `evt up`'
  return 'no handler has reported yet'
}

/** One panel as a table of exactly the given place, or shorter. */
export function panelLines(model: Model, panel: Panel, place: { width: number; height: number }): readonly Line[] {
  const common = { ...place, selected: model.selected[panel], focused: model.focus === panel && !model.overlay }
  const nothing = model.filter === '' ? undefined : `nothing matches the filter "${model.filter}" (Esc clears it)`
  if (panel === 'handlers') {
    const empty = nothing ?? noHandlers(model)
    return renderTable({ ...common, columns: handlerColumns, rows: handlerRows(model), empty })
  }
  if (panel === 'backlog')
    return renderTable({
      ...common,
      columns: backlogColumns,
      rows: backlogRows(model),
      empty: nothing ?? 'no group reads the log',
    })
  if (panel === 'dead')
    return renderTable({ ...common, columns: deadColumns, rows: deadRows(model), empty: nothing ?? 'no dead letters' })
  return renderTable({ ...common, columns: tailColumns, rows: tailRows(model), empty: nothing ?? 'no event yet' })
}
