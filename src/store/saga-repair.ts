import { EvtError } from '../core/errors.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
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
  await change(store, repair, (row) => {
    const isTrying = Object.values(row.steps).some(({ again }) => again !== undefined)
    if (row.status !== 'stuck' && !isTrying) throw refusal('retry', row, 'nothing of it has failed')
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
  await change(store, repair, (row) => {
    if (row.phase === 'compensating')
      throw refusal('compensate', row, row.stuck ? `it is, and is stuck: ${row.stuck}` : 'it is being compensated')
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
  await change(store, repair, (row) => {
    if (row.status !== 'stuck' || row.phase !== 'compensating')
      throw refusal('skip a compensation of', row, 'it is not stuck in one')
    const [last] = Object.entries(row.steps)
      .filter(([, { nth, status }]) => nth > 0 && status !== 'refused' && status !== 'compensated' && status !== 'left')
      .sort(([, one], [, other]) => other.nth - one.nth)
    row.status = last ? 'compensating' : 'failed'
    row.stuck = null
    if (last) last[1].status = 'compensated'
    return { what: last ? 'skipped' : 'failed', step: last?.[0] }
  })
}

async function change(store: Store, repair: SagaRepair, work: (row: SagaRow) => SagaHistory): Promise<void> {
  await store.transaction(async (sql) => {
    const { found, nowMs, early } = await enterSaga(sql, repair.saga, repair.key)
    if (found?.id !== repair.id || found.endedAt !== null)
      throw new EvtError('usage', `cannot repair saga ${repair.id}: it has ended`, { hint: 'see `evt saga list`' })
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

function refusal(verb: string, { id, saga, key, status }: SagaRow, reason: string): EvtError {
  return new EvtError('usage', `cannot ${verb} saga ${id} (${saga} ${key}, ${status}): ${reason}`, {
    hint: `see \`evt saga show ${id}\``,
  })
}
