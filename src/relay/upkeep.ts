import type { Store } from '../store/connection.ts'
import { maintainPartitions } from '../store/partitions.ts'
import type { RelayLog } from './relay-recorder.ts'

/** What the leader does beside sequencing, every `everyMs`: partitions made ahead and dropped by age. */
export function keepUp(store: Store, log: RelayLog, everyMs: number): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const round = async (): Promise<void> => {
    if (busy) return
    busy = true
    try {
      const done = await maintainPartitions(store, {})
      if (done.made + done.dropped.length > 0) log.info('partitions changed', done)
    } catch (error) {
      log.warn('upkeep has to be repeated', { error: (error as Error).message })
    } finally {
      busy = false
    }
  }
  running = round()
  const timer = setInterval(() => {
    running = round()
  }, everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
