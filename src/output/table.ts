import Table from 'cli-table3'
import { visible } from '../core/visible.ts'
import type { Output } from './output.ts'

export interface Column<Row> {
  readonly head: string
  readonly cell: (row: Row) => string | number | undefined | null
  readonly align?: 'left' | 'right'
  /** Gives way first when the table is wider than the terminal; at most one column. */
  readonly grows?: true
  /** Left out, the lowest number first, while the growing column has no room to say something. */
  readonly expendable?: number
}

const gap = 2
const none = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
}
const bare = {
  ...none,
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' '.repeat(gap),
}

/** Columns without lines, as wide as their content; untrusted text is made visible; cut to the terminal's width. */
export function renderTable<Row>(rows: readonly Row[], all: readonly Column<Row>[], output: Output): string {
  const filled = all.map((column) => fill(column, rows))
  const shown = output.isTTY ? fitted(filled, output.columns) : filled
  const columns = shown.map(({ column }) => column)
  const widths = shown.map(({ width }) => width)
  const table = new Table({
    head: columns.map((column) => output.paint('bold', column.head)),
    colAligns: columns.map((column) => column.align ?? 'left'),
    colWidths: widths,
    chars: bare,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  for (const i of rows.keys()) table.push(shown.map(({ cells, width }) => cut(cells[i] ?? '', width)))
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`
}

interface Filled<Row> {
  readonly column: Column<Row>
  readonly cells: readonly string[]
  readonly width: number
}

function fill<Row>(column: Column<Row>, rows: readonly Row[]): Filled<Row> {
  const cells = rows.map((row) => visible(String(column.cell(row) ?? '-')))
  return { column, cells, width: cells.reduce((width, cell) => Math.max(width, cell.length), column.head.length) }
}

/** What the growing column needs to say something; less than `least` it never gets. */
const telling = 28
const least = 8

/** Only a terminal has a width to keep to; a pipe gets every column, and whole values. */
function fitted<Row>(filled: readonly Filled<Row>[], columns: number): readonly Filled<Row>[] {
  const flexible = filled.find(({ column }) => column.grows)
  if (!flexible) return filled
  const order = filled
    .filter(({ column }) => column.expendable !== undefined)
    .sort((a, b) => (a.column.expendable ?? 0) - (b.column.expendable ?? 0))
  let kept = filled
  const room = () => columns - kept.reduce((sum, { width }) => sum + width + gap, -gap) + flexible.width
  for (const one of order) {
    if (room() >= Math.min(flexible.width, telling)) break
    kept = kept.filter((other) => other !== one)
  }
  const width = Math.max(least, flexible.column.head.length, Math.min(flexible.width, room()))
  return kept.map((one) => (one === flexible ? { ...one, width } : one))
}

export const cut = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text
