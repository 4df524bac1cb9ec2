import { type ErrorCode, EvtError, toError } from '../core/errors.ts'
import { visible } from '../core/visible.ts'
import type { Diagnostic } from './output.ts'
import type { Paint } from './paint.ts'

/** What went wrong, as data. Anything but an EvtError is a defect of evt. */
export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof EvtError) {
    const { code, message, hint } = thrown
    return { code, message, ...(hint ? { hint } : {}) }
  }
  const { name, message } = toError(thrown)
  const hint = 'this is a defect of evt: please report it with the command line and the output of --debug'
  return { code: 'internal', message: `cannot go on: ${name}: ${message}`, hint }
}

export const asDiagnostic = ({ code, message, hint }: Problem): Diagnostic => ({
  level: 'error',
  code,
  message,
  ...(hint ? { hint } : {}),
})

/** `evt: cannot …: reason`, the hint, and with `debug` every cause; a stack only where evt itself is at fault. */
export function renderProblem(thrown: unknown, { paint, debug }: { paint: Paint; debug: boolean }): string {
  const problem = problemOf(thrown)
  const lines = [`${paint('red', 'evt:')} ${inLines(problem.message)}`]
  if (problem.hint) lines.push(`${paint('cyan', 'hint:')} ${visible(problem.hint)}`)
  if (debug) lines.push(...causes(thrown))
  return `${lines.join('\n')}\n`
}

function causes(thrown: unknown): string[] {
  const lines: string[] = []
  if (!(thrown instanceof EvtError)) lines.push(...stackOf(thrown))
  const seen = new Set<unknown>([thrown])
  for (let cause = toError(thrown).cause; cause !== undefined && !seen.has(cause); cause = toError(cause).cause) {
    seen.add(cause)
    const { name, message } = toError(cause)
    lines.push(`caused by ${name}: ${visible(message)}`)
  }
  return lines
}

/** A message may point at a character below its first line. */
const inLines = (text: string) => text.split('\n').map(visible).join('\n')

const stackOf = (thrown: unknown) => (toError(thrown).stack ?? '').split('\n').slice(1).map(visible)
