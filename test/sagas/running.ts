import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type Bridge, type BridgeOptions, createBridge } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { listSagas, type SagaRecord, showSaga } from '../../src/store/saga-records.ts'
import { until } from '../setup/until.ts'

export async function startBridge(url: string, options: Omit<BridgeOptions, 'store'>): Promise<Bridge> {
  const say = (message: string, facts?: object) => console.error(message, JSON.stringify(facts))
  const log = { debug() {}, info() {}, warn: say, error: say }
  const bridge = createBridge({ store: url, instance: `saga-${randomUUID()}`, grace: '2s', log, ...options })
  try {
    onTestFinished(() => bridge.stop())
  } catch {
    // Not inside a test: the caller stops it.
  }
  await bridge.start()
  return bridge
}

/** Writes an event as any program would. */
export async function publish(
  store: Store,
  type: string,
  data: object,
  more: { readonly subject?: string; readonly correlationId?: string } = {},
): Promise<string> {
  const { rows } = await store.query('select evt.publish($1, $2::json, $3, correlation_id => $4) as id', [
    type,
    JSON.stringify(data),
    more.subject ?? null,
    more.correlationId ?? null,
  ])
  return String(rows[0]?.id)
}

/** Data of all events of a type, in the order of the log. */
export async function dataOf(store: Store, type: string): Promise<Record<string, unknown>[]> {
  const { rows } = await store.query('select data from evt.outbox where type = $1 order by seq', [type])
  return rows.map(({ data }) => data as Record<string, unknown>)
}

export async function sagaOf(store: Store, saga: string, key: string): Promise<SagaRecord | undefined> {
  const [found] = await listSagas(store, { saga, key, limit: 1 })
  return found
}

/** The saga, when it has this status. */
export const untilSaga = (store: Store, saga: string, key: string, status: SagaRecord['status']): Promise<SagaRecord> =>
  until(async () => (await sagaOf(store, saga, key).then((found) => found?.status === status && found)) || undefined, {
    withinMs: 20_000,
    what: `${saga} ${key} is ${status}`,
  })

/** What happened to it: `ran profile`, `answered profile`. */
export async function historyOf(store: Store, id: string): Promise<string[]> {
  const shown = await showSaga(store, id)
  return (shown?.history ?? []).map(({ what, step }) => (step === null ? what : `${what} ${step}`))
}
