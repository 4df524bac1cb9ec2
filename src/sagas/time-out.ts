import { formatDuration } from '../core/duration.ts'
import { attemptStep } from './attempt-step.ts'
import type { StepConfig } from './saga-config.ts'
import { finish, offerEvents } from './take.ts'
import { fail, isoOf, note, stepOf, type Turn } from './turn.ts'

/** What a timer says when it fires. */
export interface Due {
  readonly saga: string
  readonly key: string
  readonly step: string
  readonly kind: string
  readonly due: string
}

/** The time of a step, or of the whole saga, is over. A timer that was overtaken by what it waited for changes nothing. */
export async function timeOut(turn: Turn, { step: name, due }: Due): Promise<void> {
  const { row } = turn
  if (row.status !== 'running') return
  if (name === '') {
    if (row.due !== due) return
    const unfinished = Object.entries(row.steps).flatMap(([step, { status }]) => (status === 'waiting' ? [step] : []))
    note(turn, 'timed-out')
    const waiting = unfinished.length > 0 ? `; it waited in ${unfinished.join(', ')}` : ''
    fail(turn, `it was not done within ${formatDuration(Date.parse(due) - Date.parse(row.startedAt))}${waiting}`)
    return
  }
  const waiting = row.steps[name]
  if (waiting?.status !== 'waiting' || waiting.due !== due) return
  const step = stepOf(turn, name)
  if (!step) return
  // What came and could not be taken yet is an answer.
  const offered = await offerEvents(turn, step, waiting)
  if (offered === 'nothing') await timeOutStep(turn, step)
  else if (offered === 'later') again(turn, step)
}

async function timeOutStep(turn: Turn, step: StepConfig): Promise<void> {
  const row = turn.row.steps[step.name]
  if (row?.status !== 'waiting') return
  const { onTimeout } = step
  row.due = undefined
  row.again = undefined
  const missing = row.missing ?? []
  const from = missing.length > 0 ? ` from ${missing.join(', ')}` : ''
  const reason = `step ${step.name} timed out: no ${step.awaits?.type}${from} within ${formatDuration(step.timeoutMs ?? 0)}`
  note(turn, 'timed-out', {
    step: step.name,
    ...(missing.length > 0 ? { detail: `missing: ${missing.join(', ')}` } : {}),
  })
  if (onTimeout === 'retry' && row.attempts < step.attempts) {
    row.status = 'retrying'
    return
  }
  if (typeof onTimeout === 'function') {
    const attempt = await attemptStep(turn, {
      name: step.name,
      counts: 'takeAttempts',
      attempts: 1,
      backoff: step.backoff,
      says: { done: 'went-on', failed: 'run-failed' },
      code: (draft, ctx) => onTimeout(draft, missing, ctx),
    })
    if (attempt === 'done') return finish(row)
    if (attempt === 'later') return again(turn, step)
  }
  row.status = 'timed-out'
  fail(turn, reason)
}

/** Something of its code is to run another time: then it is asked anew. */
function again(turn: Turn, step: StepConfig): void {
  const row = turn.row.steps[step.name]
  if (row && turn.row.status === 'running') row.due = row.again ?? isoOf(turn.nowMs)
}
