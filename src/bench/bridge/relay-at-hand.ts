import { createRegistry } from '../../core/registry.ts'
import type { Store } from '../../store/connection.ts'

/** A relay that was started for the run; nothing to stop where one ran already. */
export interface RelayAtHand {
  readonly isOwn: boolean
  stop(): Promise<void>
}

/** Sees to it that somebody sequences: the bridge that runs, or one of our own that does only that. */
export async function ensureRelay(store: Store, run: string): Promise<RelayAtHand> {
  const { rows } = await store.query(
    'select lease_until > clock_timestamp() as leads from evt.relay where leader is not null',
  )
  if (rows[0]?.leads === true) return { isOwn: false, stop: async () => {} }
  const { createBridge } = await import('../../bridge.ts')
  const bridge = createBridge({
    store,
    handlers: [],
    registry: createRegistry([]),
    roles: ['relay'],
    instance: `bench-${run}-relay`,
  })
  await bridge.start()
  return { isOwn: true, stop: () => bridge.stop() }
}
