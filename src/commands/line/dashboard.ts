import { env } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '../../store/connection.ts'
import type { Runtime } from '../runtime.ts'
import { maskerOf } from './reveal.ts'

/** Owns the terminal until the operator quits or the runtime's signal aborts. */
export async function openDashboardOn(store: Store, runtime: Runtime): Promise<void> {
  const [{ openDashboard }, { startFeed }] = await Promise.all([loadDashboard(), import('../../watch/feed.ts')])
  const masker = await maskerOf(runtime)
  await openDashboard({
    stdin: runtime.stdin,
    ...runtime.terminal,
    color: runtime.output.paint('bold', 'x') !== 'x',
    toShell,
    signal: runtime.signal,
    feed: (push) =>
      startFeed({
        store,
        mask: (event, dataText) => masker.text(event, dataText),
        onSnapshot: (snapshot) => push({ type: 'snapshot', snapshot }),
        onEvents: (lines, skipped) => push({ type: 'events', lines, skipped }),
        onTrouble: (message) => push({ type: 'trouble', message }),
      }),
  })
}

/**
 * React reads NODE_ENV when it is loaded, and knows no other way to be told: its development build costs twice the time
 * and remembers every render. Services of the same process find the variable as it was.
 */
async function loadDashboard() {
  const { NODE_ENV: asked } = env
  env.NODE_ENV ??= 'production'
  try {
    return await import('../../ui/dashboard.tsx')
  } finally {
    if (asked === undefined) delete env.NODE_ENV
  }
}

/** The signal stops every process of the job; until it has arrived, and after SIGCONT, this one still runs. */
async function toShell(): Promise<void> {
  if (process.platform === 'win32') return
  process.kill(0, 'SIGTSTP')
  await delay(100)
}
