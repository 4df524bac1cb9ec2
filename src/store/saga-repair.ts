import { EvtError } from '../core/errors.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import type { SagaRecord } from './saga-records.ts'
import { enterSaga, type SagaHistory, type SagaRow, saveSaga } from './sagas.ts'

export interface SagaRepair {
  readonly id: string
  readonly saga: string
  readonly key: string
  /** Who repairs it. */
  readonly by: string
  readonly reason?: string | undefined
  readonly audit: Audit
}

/**
 * Goes on where it is stuck, or at once where it would try again later, with all attempts anew. Any bridge that runs the saga
 * takes it from there. Throws `usage` when nothing is to be tried again.
 */
export async function retrySaga(store: Store, repair: SagaRepair): Promise<void> {
  await change(store, repair, 'retry', (row) => {
    row.status = row.phase
    row.stuck = null
    row.due = null
    for (const step of Object.values(row.steps)) {
      step.due = undefined
      step.again = undefined
      step.takeAttempts = 0
      step.undoAttempts = 0
      if (step.status === 'retrying') step.attempts = 0
    }
    return { what: 'retried' }
  })
}

/** Undoes one that has not ended. Throws `usage` when it is being undone already. */
export async function compensateSaga(store: Store, repair: SagaRepair): Promise<void> {
  await change(store, repair, 'compensate', (row) => {
    row.status = 'compensating'
    row.phase = 'compensating'
    row.reason = `compensated by ${repair.by}${repair.reason === undefined ? '' : `: ${repair.reason}`}`
    row.stuck = null
    row.due = null
    for (const step of Object.values(row.steps)) {
      step.due = undefined
      step.again = undefined
    }
    return { what: 'failing', detail: row.reason }
  })
}

/** The compensation that it is stuck in counts as done: somebody did it by hand. Throws `usage` for one that is not stuck there. */
export async function skipCompensation(store: Store, repair: SagaRepair): Promise<void> {
  await change(store, repair, 'skip', (row) => {
    const [last] = Object.entries(row.steps)
      .filter(([, { nth, status }]) => nth > 0 && status !== 'refused' && status !== 'compensated' && status !== 'left')
      .sort(([, one], [, other]) => other.nth - one.nth)
    row.status = last ? 'compensating' : 'failed'
    row.stuck = null
    if (last) last[1].status = 'compensated'
    return { what: last ? 'skipped' : 'failed', step: last?.[0] }
  })
}

type RepairVerb = 'retry' | 'compensate' | 'skip'

/** Throws `usage` for a saga of which this cannot be done as it stands. */
export function assertRepairable(
  verb: RepairVerb,
  saga: Pick<SagaRecord, 'id' | 'saga' | 'key' | 'status' | 'phase' | 'steps' | 'stuck' | 'endedAt'>,
): void {
  const { id, status, phase, stuck, endedAt, steps } = saga
  const refuse = (reason: string, hint = `see \`evt saga show ${id}\``) => {
    const what = `${verb === 'skip' ? 'skip a compensation of' : verb} saga ${id} (${saga.saga} ${saga.key}, ${status})`
    throw new EvtError('usage', `cannot ${what}: ${reason}`, { hint })
  }
  if (endedAt !== null) refuse('it has ended')
  if (verb === 'retry') {
    const isTrying = Object.values(steps).some(({ again }) => again !== undefined)
    if (status !== 'stuck' && !isTrying) refuse('nothing of it has failed')
  } else if (verb === 'skip') {
    if (status !== 'stuck' || phase !== 'compensating') refuse('it is not stuck in one')
  } else if (phase === 'compensating' && status === 'stuck')
    refuse(
      `it is, and is stuck: ${stuck}`,
      `\`evt saga retry ${id}\` tries that again; \`evt saga compensate ${id} --skip\` says that it was done by hand`,
    )
  else if (phase === 'compensating') refuse('it is being compensated')
}

async function change(
  store: Store,
  repair: SagaRepair,
  verb: RepairVerb,
  work: (row: SagaRow) => SagaHistory,
): Promise<void> {
  await store.transaction(async (sql) => {
    const { found, nowMs, early } = await enterSaga(sql, repair.saga, repair.key)
    if (found?.id !== repair.id)
      throw new EvtError('usage', `cannot repair saga ${repair.id}: it has ended`, { hint: 'see `evt saga list`' })
    assertRepairable(verb, found)
    const history = work(found)
    const hasEnded = found.status === 'failed'
    await saveSaga(sql, {
      row: found,
      history: [{ detail: repair.reason, ...history }],
      by: repair.by,
      timers: hasEnded ? [] : [{ step: '', kind: 'go', due: new Date(nowMs).toISOString() }],
      used: hasEnded ? early.map(({ eventId }) => eventId) : [],
      kept: [],
    })
    await repair.audit(sql, 1)
  })
}
