// Room ui/components: draws what the view computed. Holds no state and runs no timer.
import { Box, Text } from 'ink'
import { memo, type ReactNode } from 'react'
import type { Line, Span, Tone } from '../view/text.ts'

/** What turns a look on and off again (ECMA-48). */
type Look = readonly [on: string, off: string]
const bold: Look = ['1', '22']

/** Sixteen-colour names only: they follow the terminal's own theme, light or dark. */
const coloured: Readonly<Partial<Record<Tone, Look>>> = {
  good: ['32', '39'],
  warn: ['33', '39'],
  bad: ['1;31', '22;39'],
  accent: ['36', '39'],
}
const uncoloured: Readonly<Partial<Record<Tone, Look>>> = {
  dim: ['2', '22'],
  bad: bold,
  title: bold,
  selected: ['7', '27'],
}

function styled({ text, tone }: Span, color: boolean): string {
  const look = (color ? coloured[tone] : undefined) ?? uncoloured[tone]
  return look && text !== '' ? `\u001b[${look[0]}m${text}\u001b[${look[1]}m` : text
}

/** One element a line: an element for each piece costs React more than everything else does. */
const Row = memo(({ text }: { readonly text: string }): ReactNode => <Text wrap="truncate-end">{text || ' '}</Text>)

export interface LinesProps {
  readonly lines: readonly Line[]
  /** Without it only bold, dim and inverse are used; marks carry the meaning. */
  readonly color: boolean
}

export function Lines({ lines, color }: LinesProps): ReactNode {
  return (
    <Box flexDirection="column">
      {lines.map((line, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place on the screen
        <Row key={row} text={line.map((piece) => styled(piece, color)).join('')} />
      ))}
    </Box>
  )
}
