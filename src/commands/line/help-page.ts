import { exitCodes } from '../../output/exit-codes.ts'
import type { Paint } from '../../output/paint.ts'

/** What help is written on. */
export interface Page {
  readonly paint: Paint
  /** Of a terminal; elsewhere lines are as long as they are. */
  readonly columns?: number | undefined
}

export interface Row {
  readonly left: string
  readonly right: string
}

const widestLeft = 44
const leastRight = 28

/** A title and two columns; where the second does not fit beside the first, it goes below. */
export function block(title: string, rows: readonly Row[], { paint, columns }: Page): string {
  const widest = Math.min(widestLeft, Math.max(...rows.map(({ left }) => left.length)))
  const below = columns !== undefined && columns - widest - 4 < leastRight
  const width = below ? 4 : widest
  const room = columns === undefined ? Number.POSITIVE_INFINITY : Math.max(leastRight, columns - width - 4)
  const lines = rows.flatMap(({ left, right }) => {
    const [first = '', ...more] = wrap(right, room)
    const rest = more.map((line) => `${' '.repeat(width + 4)}${line}`)
    const beside = !below && left.length <= width
    return beside
      ? [`  ${left.padEnd(width)}  ${first}`, ...rest]
      : [`  ${left}`, `${' '.repeat(width + 4)}${first}`, ...rest]
  })
  return `${paint('bold', title)}\n${lines.join('\n')}\n`
}

/** Its own line breaks where they fit, else those of the terminal's width. */
export function paragraph(text: string, { columns }: Page): string {
  const lines = text.trim().split('\n')
  if (columns === undefined || lines.every((line) => line.length <= columns)) return `${lines.join('\n')}\n`
  return `${wrap(lines.join(' '), columns).join('\n')}\n`
}

export function exitCodeBlock(names: readonly (keyof typeof exitCodes)[], page: Page): string {
  const rows = names.map((name) => ({ left: String(exitCodes[name].code), right: exitCodes[name].says }))
  return block('Exit codes', rows, page)
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
