import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '../../store/connection.ts'
import { listSagas, type SagaRecord } from '../../store/saga-records.ts'
import { readSnapshot } from '../../watch/read-snapshot.ts'

const pollMs = 200
/** A first attempt that fails at once and has no other one is known by then. */
const watchMs = 3_000

export interface AfterRetry {
  readonly stuckAgain: readonly { readonly id: string; readonly stuck: string | null }[]
  /** Names of sagas that no bridge runs. */
  readonly idle: readonly string[]
}

/** What became of sagas that were just told to go on, as far as a few seconds tell. */
export async function afterRetry(store: Store, sagas: readonly SagaRecord[], signal: AbortSignal): Promise<AfterRetry> {
  const { instances } = await readSnapshot(store)
  const running = new Set(
    instances.filter(({ alive }) => alive).flatMap(({ handlers }) => handlers.map(({ handler }) => handler)),
  )
  const idle = [...new Set(sagas.map(({ saga }) => saga))].filter((name) => !running.has(name))
  const watched = sagas.filter(({ saga }) => running.has(saga))
  const stuckAgain = new Map<string, string | null>()
  const read = async (ids: readonly string[]) =>
    (await Promise.all(ids.map((id) => listSagas(store, { id, limit: 1 })))).flat()
  const movedBefore = new Map((await read(watched.map(({ id }) => id))).map(({ id, movedAt }) => [id, movedAt]))
  const endMs = performance.now() + watchMs
  let open = watched.map(({ id }) => id)
  while (open.length > 0 && !signal.aborted) {
    const now = await read(open)
    for (const { id, status, stuck } of now) if (status === 'stuck') stuckAgain.set(id, stuck)
    open = now.filter((saga) => isUnderWay(saga, movedBefore.get(saga.id))).map(({ id }) => id)
    if (open.length === 0 || performance.now() >= endMs) break
    await delay(pollMs, undefined, { signal }).catch(() => {})
  }
  return { stuckAgain: [...stuckAgain].map(([id, stuck]) => ({ id, stuck })), idle }
}

/** Told to go on and not taken up since, or between two attempts. */
const isUnderWay = ({ status, endedAt, movedAt, next }: SagaRecord, before: string | undefined): boolean =>
  status !== 'stuck' && endedAt === null && (movedAt === before || next?.kind === 'go' || next?.kind === 'retry')
