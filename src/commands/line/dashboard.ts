import type { Store } from '../../store/connection.ts'
import type { Runtime } from '../runtime.ts'

/** Owns the terminal until the operator quits or the runtime's signal aborts. */
export async function openDashboardOn(store: Store, runtime: Runtime): Promise<void> {
  const [{ openDashboard }, { startFeed }] = await Promise.all([
    import('../../ui/dashboard.tsx'),
    import('../../watch/feed.ts'),
  ])
  await openDashboard({
    stdin: runtime.stdin,
    ...runtime.terminal,
    color: runtime.output.paint('bold', 'x') !== 'x',
    signal: runtime.signal,
    feed: (push) =>
      startFeed({
        store,
        onSnapshot: (snapshot) => push({ type: 'snapshot', snapshot }),
        onEvents: (lines, skipped) => push({ type: 'events', lines, skipped }),
        onTrouble: (message) => push({ type: 'trouble', message }),
      }),
  })
}
