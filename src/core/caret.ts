import { EvtError } from './errors.ts'
import { visible } from './visible.ts'

export interface Complaint {
  /** What could not be read: `pattern`, `expression`. */
  readonly what: string
  readonly text: string
  /** Index into `text`, at most its length. */
  readonly at: number
  readonly reason: string
  readonly hint?: string
}

/**
 * An EvtError('usage') in three lines: the reason, the line of the text that it is about, and a caret below the
 * character. Long lines are cut around the caret; control characters are made visible.
 */
export function complaint({ what, text, at, reason, hint }: Complaint): EvtError {
  const start = text.lastIndexOf('\n', at - 1) + 1
  const newline = text.indexOf('\n', at)
  const end = newline < 0 ? text.length : newline
  const before = visible(at === 0 ? '' : text.slice(start, at))
  const after = visible(text.slice(Math.max(at, start), end))
  const left = before.length > shownChars ? `…${before.slice(-shownChars)}` : before
  const right = after.length > shownChars ? `${after.slice(0, shownChars)}…` : after
  const message = `cannot read ${what}: ${reason}\n  ${left}${right}\n  ${' '.repeat(left.length)}^`
  return new EvtError('usage', message, hint === undefined ? {} : { hint })
}

const shownChars = 60
