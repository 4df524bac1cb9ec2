import { type Line, left, right, rowWindow, span, type Tone } from './text.ts'

export interface Column<R> {
  readonly title: string
  readonly width: number
  readonly align: 'left' | 'right'
  /** Columns with the lowest number stay longest when the terminal is narrow. */
  readonly keep: number
  readonly cell: (row: R) => string
  readonly tone?: (row: R) => Tone
  /** Takes what is left of the width. */
  readonly grows?: true
}

export interface TableOptions<R> {
  readonly columns: readonly Column<R>[]
  readonly rows: readonly R[]
  readonly selected: number
  readonly focused: boolean
  readonly width: number
  /** Lines in all, the header included. */
  readonly height: number
  readonly empty: string
}

/** The columns that fit, in their own order, with the growing one widened. */
function fitting<R>(columns: readonly Column<R>[], width: number): readonly Column<R>[] {
  const kept = new Set<Column<R>>()
  let used = 2
  for (const column of columns.toSorted((a, b) => a.keep - b.keep)) {
    if (used + column.width + 1 > width && kept.size > 0) continue
    kept.add(column)
    used += column.width + 1
  }
  const shown = columns.filter((column) => kept.has(column))
  return shown.map((column) => (column.grows ? { ...column, width: column.width + Math.max(0, width - used) } : column))
}

const padded = <R>(column: Column<R>, text: string) =>
  column.align === 'left' ? left(text, column.width) : right(text, column.width)

/** A header and as many rows as fit around the selected one. */
export function renderTable<R>(options: TableOptions<R>): readonly Line[] {
  const { rows, height, width, focused } = options
  if (height <= 0) return []
  const columns = fitting(options.columns, width)
  const header: Line = [
    span('  '),
    ...columns.flatMap((column) => [span(padded(column, column.title), 'dim'), span(' ')]),
  ]
  if (rows.length === 0) return [header, [span(`  ${options.empty}`, 'dim')]].slice(0, height)
  const selected = Math.min(options.selected, rows.length - 1)
  const { from, to } = rowWindow(rows.length, selected, height - 1)
  const body = rows.slice(from, to).map((row, index): Line => {
    const chosen = focused && from + index === selected
    const cells = columns.flatMap((column) => {
      const tone = chosen ? 'selected' : (column.tone?.(row) ?? 'plain')
      return [span(padded(column, column.cell(row)), tone), span(' ', chosen ? 'selected' : 'plain')]
    })
    return [span(chosen ? '▸ ' : '  ', chosen ? 'selected' : 'plain'), ...cells]
  })
  return [header, ...body]
}
