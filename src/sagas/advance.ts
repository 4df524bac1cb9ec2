import type { BackoffPolicy } from '../core/backoff.ts'
import { EvtError } from '../core/errors.ts'
import type { StepRow } from '../store/sagas.ts'
import { attemptStep } from './attempt-step.ts'
import type { State, StepConfig } from './saga-config.ts'
import { consume, finish, offerEvents } from './take.ts'
import { end, fail, isoOf, isPrintable, note, stepOf, stepRow, stick, type Turn } from './turn.ts'

/** Moves a saga as far as it gets: until it waits, is stuck or has ended. */
export async function advance(turn: Turn): Promise<void> {
  const { row } = turn
  if (row.status === 'running') row.due ??= isoOf(turn.nowMs + turn.timeoutMs)
  for (let moved = true; moved; ) {
    if (row.status === 'running') moved = isCancelled(turn) || (await moveForward(turn))
    else if (row.status === 'compensating') moved = await moveBackward(turn)
    else return
  }
}

/** Asked before every step, so that none begins for what is cancelled. */
function isCancelled(turn: Turn): boolean {
  const type = turn.config.cancelledBy?.event.type
  const offer = [...turn.offers].find((one) => one.type === type)
  if (!offer) return false
  consume(turn, offer)
  note(turn, 'cancelled', { eventId: offer.eventId, type: offer.type })
  fail(turn, `it was cancelled by ${offer.type}`)
  return true
}

async function moveForward(turn: Turn): Promise<boolean> {
  const { row } = turn
  const names = row.plan.stages[row.stage]
  if (!names) return complete(turn)
  for (const name of names) {
    if (await moveStep(turn, name)) return true
    if (row.status !== 'running') return true
  }
  if (!names.every((name) => row.steps[name]?.status === 'done')) return false
  row.stage += 1
  return true
}

async function moveStep(turn: Turn, name: string): Promise<boolean> {
  const known = turn.row.steps[name]
  if (known?.status === 'done') return false
  const step = stepOf(turn, name)
  if (!step) return true
  if (known?.status !== 'waiting') return begin(turn, step)
  // An operator has sent it on: it has its time again.
  if (known.due === undefined && step.timeoutMs !== undefined) known.due = isoOf(turn.nowMs + step.timeoutMs)
  return (await offerEvents(turn, step, known)) === 'moved'
}

async function begin(turn: Turn, step: StepConfig): Promise<boolean> {
  let missing: readonly string[] | undefined
  const attempt = await attemptStep(turn, {
    name: step.name,
    counts: 'attempts',
    attempts: step.attempts,
    backoff: step.backoff,
    says: { done: 'ran', failed: 'run-failed' },
    async code(draft, ctx) {
      await step.run?.(draft, ctx)
      missing = missingOf(step, draft)
    },
  })
  if (attempt === 'later') return false
  const row = stepRow(turn, step.name)
  if (attempt === 'given-up') {
    row.status = 'failed'
    fail(turn, `step ${step.name} failed: ${row.error}`)
    return true
  }
  begun(turn, { step, row, missing })
  return true
}

function begun(
  turn: Turn,
  { step, row, missing }: { step: StepConfig; row: StepRow; missing: readonly string[] | undefined },
): void {
  const { steps } = turn.row
  row.nth ||= Math.max(0, ...Object.values(steps).map(({ nth }) => nth)) + 1
  // Those that had answered before it ran again have answered.
  const left = row.missing
  row.missing = left ? missing?.filter((name) => left.includes(name)) : missing
  if (!step.awaits || row.missing?.length === 0) {
    finish(row)
    return
  }
  row.status = 'waiting'
  row.waitsFor = step.awaits.type
  if (step.timeoutMs !== undefined) row.due = isoOf(turn.nowMs + step.timeoutMs)
}

/** Throws EvtError('contract') where `from` gives something else than names. */
function missingOf(step: StepConfig, state: State): readonly string[] | undefined {
  if (!step.from) return undefined
  const names: unknown = step.from(state)
  const isName = (name: unknown) => typeof name === 'string' && name !== '' && name.length <= 200 && isPrintable(name)
  if (Array.isArray(names) && names.every(isName)) return [...new Set(names as string[])]
  throw new EvtError('contract', `cannot wait in step ${step.name}: its \`from\` gave no list of names`)
}

/** Of what runs at the end. */
const ofHooks: { readonly attempts: number; readonly backoff: BackoffPolicy } = {
  attempts: 5,
  backoff: { backoff: 'exponential', initialMs: 1_000, maxMs: 60_000 },
}

async function complete(turn: Turn): Promise<boolean> {
  const { onCompleted } = turn.config
  if (!onCompleted) end(turn, 'completed')
  else await runHook(turn, 'completed', onCompleted)
  return false
}

async function runHook(
  turn: Turn,
  status: 'completed' | 'failed',
  code: Parameters<typeof attemptStep>[1]['code'],
): Promise<void> {
  const name = status === 'completed' ? '(onCompleted)' : '(onFailed)'
  const says = { done: 'ran', failed: 'run-failed' }
  const attempt = await attemptStep(turn, { name, counts: 'attempts', ...ofHooks, says, code })
  const row = stepRow(turn, name)
  if (attempt === 'given-up') stick(turn, { step: name, reason: `${name} failed: ${row.error}` })
  if (attempt !== 'done') return
  row.status = 'done'
  end(turn, status)
}

/** What has begun and was not refused, the last first: what it asked for may have been done although no answer came. */
async function moveBackward(turn: Turn): Promise<boolean> {
  const [last] = Object.entries(turn.row.steps)
    .filter(([, { nth, status }]) => nth > 0 && status !== 'refused' && status !== 'compensated' && status !== 'left')
    .sort(([, one], [, other]) => other.nth - one.nth)
  if (!last) return undone(turn)
  const [name, row] = last
  const step = stepOf(turn, name)
  if (!step) return false
  const { compensate } = step
  if (!compensate) {
    row.status = 'left'
    return true
  }
  const attempt = await attemptStep(turn, {
    name,
    counts: 'undoAttempts',
    attempts: step.attempts,
    backoff: step.backoff,
    says: { done: 'compensated', failed: 'compensation-failed' },
    code: compensate,
  })
  if (attempt === 'given-up') stick(turn, { step: name, reason: `the compensation of ${name} failed: ${row.error}` })
  if (attempt === 'done') row.status = 'compensated'
  return attempt === 'done'
}

async function undone(turn: Turn): Promise<boolean> {
  const { config, row } = turn
  const { onFailed } = config
  if (!onFailed) end(turn, 'failed')
  else
    await runHook(turn, 'failed', (draft, ctx) =>
      onFailed(
        draft,
        Object.defineProperty(ctx, 'reason', { value: row.reason ?? '' }) as typeof ctx & { reason: string },
      ),
    )
  return false
}
