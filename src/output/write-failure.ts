import { EvtError } from '../core/errors.ts'

/** Whoever read has left: a closed pipe, or a terminal that was closed. That is no failure. */
export const isReaderGone = ({ code }: NodeJS.ErrnoException): boolean => code === 'EPIPE' || code === 'EIO'

/** What the operator is told when standard output takes no more: exit 5, because not all of it was delivered. */
export function writeFailure(error: NodeJS.ErrnoException): EvtError {
  const reason = error.message.replace(/, write$/, '')
  return new EvtError('partial', `cannot write to standard output: ${reason}`, {
    hint: 'what it holds is incomplete: make space or send it elsewhere, and run the command again',
    cause: error,
  })
}
