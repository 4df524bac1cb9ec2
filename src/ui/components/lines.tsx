// Room ui/components: draws what the view computed. Holds no state and runs no timer.
import { Box, Text } from 'ink'
import type { ReactNode } from 'react'
import type { Line, Span, Tone } from '../view/text.ts'

interface Look {
  readonly color?: string
  readonly bold?: boolean
  readonly dimColor?: boolean
  readonly inverse?: boolean
}

/** Sixteen-colour names only: they follow the terminal's own theme, light or dark. */
const looks: Readonly<Record<Tone, Look>> = {
  plain: {},
  dim: { dimColor: true },
  good: { color: 'green' },
  warn: { color: 'yellow' },
  bad: { color: 'red', bold: true },
  accent: { color: 'cyan' },
  title: { bold: true },
  selected: { inverse: true },
}

function Piece({ piece, color }: { readonly piece: Span; readonly color: boolean }): ReactNode {
  const { color: name, ...rest } = looks[piece.tone]
  return (
    <Text {...rest} {...(color && name !== undefined ? { color: name } : {})}>
      {piece.text}
    </Text>
  )
}

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
        <Text key={row} wrap="truncate-end">
          {line.map((piece, column) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a piece is its place in the line
            <Piece key={column} piece={piece} color={color} />
          ))}
        </Text>
      ))}
    </Box>
  )
}
