import type { EncodedEvent } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { OpenedState, StateHolder } from '../core/state-sealing.ts'
import type { HandlerContext } from '../handle/handler.ts'
import type { EarlyEvent, KeptEvent, SagaHistory, SagaRow, SagaTimer, StepRow } from '../store/sagas.ts'
import type { StateGuard } from './guard-state.ts'
import type { SagaConfig, StepConfig } from './saga-config.ts'

/** An event that a step may take: the one in hand, or one that came early. */
export interface Offer extends EarlyEvent {
  readonly correlationId: string | undefined
  /** It is the one in hand. */
  readonly isNew: boolean
  /** Undefined when the log has it no more, or nobody can read it. */
  read(): Promise<EvtEvent | undefined>
}

/** What one event does to one saga: the row as it will be, and what is written beside it. */
export interface Turn {
  readonly config: SagaConfig
  readonly ctx: HandlerContext
  /** The one in hand. */
  readonly event: EvtEvent
  /** Its state is open: the code's. */
  readonly row: SagaRow
  readonly guard: StateGuard
  /** Undefined for a saga that begins. */
  readonly opened: OpenedState | undefined
  /** The store's clock. */
  readonly nowMs: number
  readonly timeoutMs: number
  /** How much of the saga's code may still run in this transaction. */
  runsLeft: number
  /** The event was tried so often in vain that its next code is not run any more. */
  readonly isSpent: boolean
  /** Goes on in a transaction of its own. */
  goesOn: boolean
  readonly offers: Set<Offer>
  readonly history: SagaHistory[]
  readonly used: string[]
  readonly kept: KeptEvent[]
  /** By code that returned; written with the row. */
  readonly published: EncodedEvent[]
  prepare(event: NewEvent): Promise<EncodedEvent>
}

export const holderOf = ({ id, tenant, plan, key }: SagaRow): StateHolder => ({
  id,
  tenant: tenant ?? '',
  subject: plan.subject ?? key,
})

export const isoOf = (ms: number) => new Date(ms).toISOString()

export function note(turn: Turn, what: string, more: Omit<SagaHistory, 'what'> = {}): void {
  turn.history.push({ what, ...more })
}

/** The step's code as it is today; undefined, and the saga is stuck, when the definition has no such step any more. */
export function stepOf(turn: Turn, name: string): StepConfig | undefined {
  const { config, row } = turn
  const step = config.steps.get(name)
  if (!step)
    stick(turn, {
      step: name,
      reason: `step ${name} of version ${row.version} is missing in version ${config.version} of the definition`,
    })
  return step
}

export function stepRow(turn: Turn, name: string): StepRow {
  const known = turn.row.steps[name]
  if (known) return known
  const fresh: StepRow = {
    status: 'retrying',
    nth: 0,
    attempts: 0,
    takeAttempts: 0,
    undoAttempts: 0,
    at: isoOf(turn.nowMs),
  }
  turn.row.steps[name] = fresh
  return fresh
}

/** Nothing of it runs until somebody has looked. */
export function stick(turn: Turn, { step, reason }: { readonly step?: string; readonly reason: string }): void {
  turn.row.status = 'stuck'
  turn.row.stuck = reason
  note(turn, 'stuck', { step, detail: reason })
}

/** From here on it is undone. */
export function fail(turn: Turn, reason: string): void {
  const { row } = turn
  row.status = 'compensating'
  row.phase = 'compensating'
  row.reason = reason
  row.due = null
  for (const step of Object.values(row.steps)) {
    step.due = undefined
    step.again = undefined
  }
  note(turn, 'failing', { detail: reason })
}

export function end(turn: Turn, status: 'completed' | 'failed'): void {
  turn.row.status = status
  turn.row.due = null
  note(turn, status)
}

export const hasEnded = ({ status }: Pick<SagaRow, 'status'>) => status === 'completed' || status === 'failed'

/** What has to wake it, after this turn. */
export function timersOf({ row, goesOn, nowMs }: Turn): readonly SagaTimer[] {
  if (hasEnded(row) || row.status === 'stuck') return []
  const timers: SagaTimer[] = goesOn ? [{ step: '', kind: 'go', due: isoOf(nowMs) }] : []
  if (row.due !== null) timers.push({ step: '', kind: 'timeout', due: row.due })
  for (const [step, { due, again }] of Object.entries(row.steps)) {
    if (due !== undefined) timers.push({ step, kind: 'timeout', due })
    if (again !== undefined) timers.push({ step, kind: 'retry', due: again })
  }
  return timers
}

/** Throws EvtError('contract') for a key that could name no saga; null where the event is not for it. */
export function keyOf(config: SagaConfig, event: EvtEvent, correlate: (event: EvtEvent) => unknown): string | null {
  const refuse = (reason: string, hint: string, cause?: unknown) =>
    new EvtError('contract', `cannot tell which ${config.name} the event ${event.type} belongs to: ${reason}`, {
      hint,
      ...(cause === undefined ? {} : { cause }),
    })
  let key: unknown
  try {
    key = correlate(event)
  } catch (thrown) {
    throw refuse(
      'its `correlate` threw',
      'it gets every event of that type, and returns null for those of others',
      thrown,
    )
  }
  if (key === null) return null
  const text = typeof key === 'number' && Number.isFinite(key) ? String(key) : key
  if (typeof text === 'string' && text !== '' && text.length <= 200 && isPrintable(text)) return text
  throw refuse(
    key === undefined
      ? 'its `correlate` returned nothing, or it has no subject'
      : 'its key is no printable text of 1 to 200 characters',
    'return a text or a number that all events of one saga have in common; null for events of others',
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
export const isPrintable = (text: string) => !/[\u0000-\u001f]/.test(text) && text.isWellFormed()
