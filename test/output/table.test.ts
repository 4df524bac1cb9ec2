import { describe, expect, it } from 'vitest'
import { createOutput } from '../../src/output/output.ts'
import { createPaint } from '../../src/output/paint.ts'
import { createSink } from '../../src/output/sink.ts'
import { renderTable } from '../../src/output/table.ts'
import { createStream } from './stream.ts'

const columns = [
  { head: 'COUNT', cell: (row: Row) => row.count, align: 'right' as const },
  { head: 'ERROR', cell: (row: Row) => row.error, grows: true as const },
  { head: 'LAST', cell: () => undefined },
]
interface Row {
  readonly count: number
  readonly error: string
}
function outputOf(shape: { isTTY?: boolean; columns?: number }) {
  const sink = createSink(createStream(shape))
  const paint = createPaint(false)
  return createOutput({
    command: 'x',
    format: 'text',
    verbosity: 'normal',
    stdout: sink,
    stderr: sink,
    paint,
    paintNotice: paint,
  })
}

describe('table', () => {
  it('aligns columns, with a dash for what is missing', () => {
    const rows = [
      { count: 7, error: 'timed out' },
      { count: 120, error: 'no' },
    ]
    expect(renderTable(rows, columns, outputOf({}))).toBe(
      ['COUNT  ERROR      LAST', '    7  timed out  -', '  120  no         -', ''].join('\n'),
    )
  })

  it('cuts the growing column to the width of a terminal, and nothing for a pipe', () => {
    const rows = [{ count: 1, error: 'x'.repeat(200) }]
    const narrow = renderTable(rows, columns, outputOf({ isTTY: true, columns: 40 }))
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40)
    expect(narrow).toContain('…')
    expect(renderTable(rows, columns, outputOf({ columns: 40 }))).toContain('x'.repeat(200))
  })

  it('leaves out what is expendable, in its order, until the growing column can say something', () => {
    const many = [
      { head: 'FIRST', cell: () => 'a'.repeat(10), expendable: 2 },
      ...columns,
      { head: 'ATTEMPTS', cell: () => 3, expendable: 1 },
    ]
    const heads = (columns: number, error: string) =>
      renderTable([{ count: 1, error }], many, outputOf({ isTTY: true, columns }))
        .split('\n')[0]
        ?.split(/ +/)
    const long = 'x'.repeat(100)
    expect(heads(100, long)).toEqual(['FIRST', 'COUNT', 'ERROR', 'LAST', 'ATTEMPTS'])
    expect(heads(60, long)).toEqual(['FIRST', 'COUNT', 'ERROR', 'LAST'])
    expect(heads(45, long)).toEqual(['COUNT', 'ERROR', 'LAST'])
    expect(heads(45, 'short')).toEqual(['FIRST', 'COUNT', 'ERROR', 'LAST', 'ATTEMPTS'])
    expect(renderTable([{ count: 1, error: long }], many, outputOf({ columns: 45 }))).toContain('ATTEMPTS')
  })

  it('makes untrusted cells visible', () => {
    const shown = renderTable([{ count: 1, error: 'a\u001b[2Jb\nc' }], columns, outputOf({}))
    expect(shown).toContain('a\\x1b[2Jb\\nc')
  })

  it('prints the head alone when there is nothing', () => {
    expect(renderTable([], columns, outputOf({}))).toBe('COUNT  ERROR  LAST\n')
  })
})
