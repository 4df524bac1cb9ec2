import { type BackoffPolicy, backoffMs } from '../core/backoff.ts'
import { runCode } from './run-code.ts'
import type { SagaContext } from './saga.ts'
import type { State } from './saga-config.ts'
import { isoOf, note, type Offer, stepRow, stick, type Turn } from './turn.ts'

/** - `later`: it failed, or its time has not come: nothing more of it in this turn */
export type Attempt = 'done' | 'later' | 'given-up'

interface Try {
  readonly name: string
  /** Which of its attempts are counted. */
  readonly counts: 'attempts' | 'takeAttempts' | 'undoAttempts'
  readonly attempts: number
  readonly backoff: BackoffPolicy
  /** What the history says of it. */
  readonly says: { readonly done: string; readonly failed: string }
  /** The event that it is about. */
  readonly offer?: Offer
  code(draft: State, ctx: SagaContext): unknown
}

/** Runs a step's code when it is its time, and sees to it that it is tried again. */
export async function attemptStep(
  turn: Turn,
  { name, counts, attempts, backoff, says, offer, code }: Try,
): Promise<Attempt> {
  const step = stepRow(turn, name)
  if (step.again !== undefined && Date.parse(step.again) > turn.nowMs) return 'later'
  if (turn.isSpent) {
    stick(turn, { step: name, reason: `${name} did not return in its time, or ended its process, again and again` })
    return 'later'
  }
  if (turn.runsLeft === 0) {
    turn.goesOn = true
    return 'later'
  }
  turn.runsLeft -= 1
  const attempt = step[counts] + 1
  step[counts] = attempt
  step.again = undefined
  const result = await runCode(turn, attempt, code)
  const about = { step: name, attempt, eventId: offer?.eventId, type: offer?.type }
  if (result.ok) {
    step.error = undefined
    note(turn, says.done, about)
    return 'done'
  }
  step.error = result.message
  note(turn, says.failed, { ...about, detail: result.message })
  if (result.isHopeless || attempt >= attempts) return 'given-up'
  step.again = isoOf(turn.nowMs + Math.max(1, backoffMs(backoff, attempt, Math.random())))
  return 'later'
}
