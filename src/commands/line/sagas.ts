import { formatAge } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { maskFields } from '../../core/mask.ts'
import { withoutSealed } from '../../core/sealing.ts'
import { suggestion } from '../../core/suggest.ts'
import type { Store } from '../../store/connection.ts'
import type { SagaRecord } from '../../store/saga-records.ts'
import type { Runtime } from '../runtime.ts'
import { loadServices } from './services.ts'

const most = 10_000

/** `--saga`. */
export interface OfSaga {
  readonly saga: string | undefined
  readonly runtime: Pick<Runtime, 'config'>
}

/** Throws `usage` for a name that neither a saga in the store nor one of a configured service has. */
export async function assertSagaKnown(store: Store, { saga, runtime }: OfSaga): Promise<void> {
  if (saga === undefined) return
  const { rows } = await store.query('select distinct saga from evt.sagas order by saga')
  const known = rows.map((row) => String(row.saga))
  if (known.includes(saga)) return
  const declared = (await loadServices(runtime)).flatMap(({ sagas = [] }) => sagas.map(({ name }) => name))
  if (declared.includes(saga)) return
  const all = [...new Set([...known, ...declared])]
  throw new EvtError(
    'usage',
    `cannot find saga ${saga} on ${store.url}: none has run there, and no configured service has it`,
    {
      hint:
        suggestion(saga, all) ?? (all.length > 0 ? `there are ${all.join(', ')}` : 'see defineSaga in docs/sagas.md'),
    },
  )
}

/** The sagas that a person names: by number, by key, or all that are stuck. Throws `usage` for what is not there or not clear. */
export async function namedSagas(
  store: Store,
  named: OfSaga & { readonly which: readonly string[]; readonly stuck: boolean },
): Promise<readonly SagaRecord[]> {
  const { listSagas } = await import('../../store/saga-records.ts')
  const { which, saga, stuck } = named
  if (stuck) {
    await assertSagaKnown(store, named)
    if (which.length === 0) return listSagas(store, { saga, statuses: ['stuck'], limit: most })
    throw new EvtError('usage', 'cannot choose sagas: both names and --stuck are given', { hint: 'give one of them' })
  }
  if (which.length === 0)
    throw new EvtError('usage', 'cannot choose sagas: none is named', { hint: 'give an ID or a KEY, or --stuck' })
  return Promise.all(which.map((one) => findSaga(store, one, named)))
}

/** The one of this number, else the latest of this key. */
export async function findSaga(store: Store, which: string, of: OfSaga): Promise<SagaRecord> {
  const { saga } = of
  await assertSagaKnown(store, of)
  const { listSagas } = await import('../../store/saga-records.ts')
  const [byId] = /^\d{1,18}$/.test(which) ? await listSagas(store, { id: which, saga, limit: 1 }) : []
  if (byId) return byId
  const byKey = await listSagas(store, { key: which, saga, limit: 100 })
  const [latest] = [...byKey].sort((one, other) => Number(other.id) - Number(one.id))
  const names = [...new Set(byKey.map((one) => one.saga))]
  if (names.length > 1)
    throw new EvtError('usage', `cannot choose a saga of ${which}: there are ${names.join(' and ')}`, {
      hint: 'say which with --saga NAME, or give its ID',
    })
  if (latest) return latest
  throw new EvtError('usage', `cannot find saga ${which} on ${store.url}: none has that number or key`, {
    hint: 'see `evt saga list`',
  })
}

/** The steps that it is at. */
export function currentSteps({ status, phase, stages, stage, steps }: SagaRecord): readonly string[] {
  if (status === 'completed' || status === 'failed') return []
  if (phase === 'running') return (stages[stage] ?? []).filter((name) => steps[name]?.status !== 'done')
  const [last] = Object.entries(steps)
    .filter(([, step]) => step.nth > 0 && !['refused', 'compensated', 'left'].includes(step.status))
    .sort(([, one], [, other]) => other.nth - one.nth)
  return last ? [last[0]] : []
}

/** What has to happen before it goes on, for a table. */
export function waitsFor(saga: SagaRecord): readonly string[] {
  if (saga.status === 'stuck') return ['an operator']
  return currentSteps(saga).flatMap((name) => {
    const step = saga.steps[name]
    if (step?.again !== undefined) return [`attempt ${attemptsOf(saga, name) + 1}`]
    if (step?.waitsFor === undefined || step.status !== 'waiting') return []
    return [`${step.waitsFor}${step.missing?.length ? ` from ${step.missing.join(', ')}` : ''}`]
  })
}

const attemptsOf = ({ phase, steps }: SagaRecord, name: string) =>
  (phase === 'running' ? steps[name]?.attempts : steps[name]?.undoAttempts) ?? 0

/** What is encrypted is hidden also where an older plan does not name it; what was erased is null. */
export function maskedState({ state, sensitive, erased = [] }: SagaRecord & { readonly erased?: readonly string[] }) {
  const shown = maskFields(
    state,
    sensitive.filter((path) => !erased.includes(path)),
  )
  return JSON.parse(withoutSealed(JSON.stringify(shown))) as unknown
}

/** `in 3m`, `12s ago`. */
export function distance(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs
  return ms >= 0 ? `in ${formatAge(ms)}` : `${formatAge(-ms)} ago`
}

export const summaryOf = ({ id, saga, key, status }: SagaRecord) => `${id} ${saga} ${key} (${status})`
