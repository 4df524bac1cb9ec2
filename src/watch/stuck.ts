import { formatDuration } from '../core/duration.ts'
import type { HandlerSample } from './snapshot.ts'

/** So long the store may refuse to note what became of an event; then the handler is unhealthy and somebody has to look. */
export const stuckAfterMs = 30_000

const words = 'the store has refused to note what became of an event for '

export const stuckReason = (stuckMs: number, error: string): string | undefined =>
  stuckMs < stuckAfterMs
    ? undefined
    : `${words}${formatDuration(Math.floor(stuckMs / 1000) * 1000)}: ${error.slice(0, 200)}`

export const isStuckReason = (reason: string): boolean => reason.startsWith(words)

/** Why a process with these handlers is not ready, each in the words of an operator. */
export const stuckHandlers = (handlers: readonly HandlerSample[]): readonly string[] =>
  handlers.flatMap(({ handler, stuckMs = 0, unhealthy }) =>
    stuckMs < stuckAfterMs ? [] : [`handler ${handler} waits: ${unhealthy}`],
  )
