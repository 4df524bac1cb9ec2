import { toError } from '../../core/errors.ts'
import type { HandlerLog } from '../../handle/handler.ts'
import type { Store } from '../../store/connection.ts'
import { countTraffic, tidyTraffic } from '../../store/count-traffic.ts'
import { holdTask, leaveTask, saveTask, type WatchTask } from '../../store/watch-tasks.ts'
import { startTask } from '../run-task.ts'

export interface AnalyticsOptions {
  readonly store: Store
  readonly instance: string
  readonly log: HandlerLog
  readonly everyMs: number
}

/** One statement must not hold a snapshot for long. */
const mostEvents = 50n * 1_000n
const tidyMs = 60_000

/** Counts what goes through the log, in the server and beside everything else; one bridge does it for all. */
export function startAnalytics({ store, instance, log, everyMs }: AnalyticsOptions): { stop(): Promise<void> } {
  const task: WatchTask = { task: 'analytics', holder: instance, leaseMs: Math.max(30_000, 3 * everyMs) }
  const ending = new AbortController()
  let tidiedMs = 0

  async function step(): Promise<void> {
    for (let more = true; more && !ending.signal.aborted; ) {
      const now = await holdTask(store, task)
      if (!now) return
      if (now.head <= now.position) break
      const upTo = now.head - now.position > mostEvents ? now.position + mostEvents : now.head
      await store.transaction(async (sql) => {
        await saveTask(sql, task, { position: upTo, memory: {} })
        await countTraffic(sql, { after: now.position, upTo })
      })
      more = upTo < now.head
    }
    if (performance.now() - tidiedMs < tidyMs) return
    tidiedMs = performance.now()
    await tidyTraffic(store)
  }

  const running = startTask({
    everyMs,
    signal: ending.signal,
    step,
    onError: (error) => log.warn('cannot count what flows', { error: toError(error).message }),
  })
  return {
    async stop() {
      ending.abort()
      await running
      await leaveTask(store, task).catch(() => {})
    },
  }
}
