import { formatAge } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { SagaRecord } from '../../store/saga-records.ts'
import { type SagaStatus, sagaStatuses } from '../../store/sagas.ts'
import { defineCommand, text, value } from '../command.ts'
import { formatOptions, limitOptions, list, storeOptions } from '../line/options.ts'
import { assertSagaKnown, currentSteps, distance, waitsFor } from '../line/sagas.ts'
import { withStore } from '../line/store.ts'

const defaultLimit = 100

export default defineCommand({
  name: 'saga list',
  section: 'watch',
  summary: 'running, stuck and ended sagas, and what each waits for',
  description: 'Those that are stuck come first, then those under way, then what has ended in the last 30 days.',
  examples: [
    { line: 'evt saga list', says: 'what needs somebody, what runs, what has ended' },
    {
      line: 'evt saga list --status stuck,compensating --saga accounts.registration',
      says: 'what went wrong of one',
      needs: 'saga',
    },
    { line: 'evt saga list --json', says: 'for a script' },
  ],
  args: {},
  options: {
    saga: value({ value: 'name', says: 'only this one', parse: text }),
    status: value({
      value: 'list',
      says: sagaStatuses.join(', '),
      parse: (given, context) => list(given, context).map(statusOf),
    }),
    ...limitOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options }, runtime) {
    return withStore(runtime, { command: 'saga list', max: 1 }, async (store) => {
      const { countSagas, listSagas } = await import('../../store/saga-records.ts')
      const { saga, status: statuses, limit = defaultLimit } = options
      await assertSagaKnown(store, { saga, runtime })
      const sagas = await listSagas(store, { saga, statuses, limit })
      const counts = await countSagas(store, saga)
      const nowMs = runtime.now()
      const render = () => (sagas.length === 0 ? 'no sagas\n' : renderTable(sagas, columnsAt(nowMs), runtime.output))
      runtime.output.result({ data: { sagas: sagas.map((one) => rowOf(one, nowMs)) }, meta: { counts }, render })
      const total = sagaStatuses.flatMap((one) => (counts[one] ? [`${formatCount(counts[one])} ${one}`] : []))
      if (total.length > 0) runtime.output.notice(`${total.join(' · ')} · shown ${sagas.length}`)
      return undefined
    })
  },
})

function statusOf(given: string): SagaStatus {
  const known = sagaStatuses.find((one) => one === given)
  if (known) return known
  throw new Error(`${given} is none of ${sagaStatuses.join(', ')}`)
}

function rowOf(saga: SagaRecord, nowMs: number) {
  const { id, key, status, version, reason, stuck, next, startedAt, movedAt, endedAt } = saga
  return {
    id,
    saga: saga.saga,
    key,
    status,
    version,
    steps: currentSteps(saga),
    waitsFor: waitsFor(saga),
    next,
    reason: stuck ?? reason,
    ageMs: Math.max(0, (endedAt === null ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt)),
    startedAt,
    movedAt,
    endedAt,
  }
}

const columnsAt = (nowMs: number) => [
  { head: 'ID', cell: ({ id }: SagaRecord) => id },
  { head: 'SAGA', cell: ({ saga }: SagaRecord) => saga },
  { head: 'KEY', cell: ({ key }: SagaRecord) => key },
  { head: 'STATUS', cell: ({ status }: SagaRecord) => status },
  { head: 'STEP', cell: (saga: SagaRecord) => currentSteps(saga).join(' ') || undefined },
  { head: 'WAITS FOR', cell: (saga: SagaRecord) => waitsFor(saga).join('; ') || undefined },
  { head: 'NEXT', cell: ({ next }: SagaRecord) => (next ? `${next.kind} ${distance(next.at, nowMs)}` : undefined) },
  { head: 'AGE', cell: (saga: SagaRecord) => formatAge(rowOf(saga, nowMs).ageMs) },
  { head: 'WHY', cell: ({ stuck, reason }: SagaRecord) => stuck ?? reason ?? undefined, grows: true as const },
]
