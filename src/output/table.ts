import Table from 'cli-table3'
import { visible } from '../core/visible.ts'
import type { Output } from './output.ts'

export interface Column<Row> {
  readonly head: string
  readonly cell: (row: Row) => string | number | undefined | null
  readonly align?: 'left' | 'right'
  /** Gives way first when the table is wider than the terminal; at most one column. */
  readonly grows?: true
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
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], output: Output): string {
  const cells = rows.map((row) => columns.map((column) => visible(String(column.cell(row) ?? '-'))))
  const widths = columns.map((column, i) => Math.max(column.head.length, ...cells.map((line) => line[i]?.length ?? 0)))
  shrink(widths, columns, output)
  const table = new Table({
    head: columns.map((column) => output.paint('bold', column.head)),
    colAligns: columns.map((column) => column.align ?? 'left'),
    colWidths: widths,
    chars: bare,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  for (const line of cells) table.push(line.map((cell, i) => cut(cell, widths[i] ?? 0)))
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`
}

/** Only a terminal has a width to keep to; a pipe gets whole values. */
function shrink<Row>(widths: number[], columns: readonly Column<Row>[], output: Output): void {
  if (!output.isTTY) return
  const flexible = columns.findIndex((column) => column.grows)
  if (flexible < 0) return
  const total = widths.reduce((sum, width) => sum + width, gap * (widths.length - 1))
  const least = Math.max(8, columns[flexible]?.head.length ?? 0)
  widths[flexible] = Math.max(least, (widths[flexible] ?? 0) - Math.max(0, total - output.columns))
}

export const cut = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text
