import type { Store } from '../store/connection.ts'
import { maintainPartitions } from '../store/partitions.ts'
import type { RelayLog } from './relay-recorder.ts'

export interface UpkeepOptions {
  readonly log: RelayLog
  readonly everyMs: number
  /** A directory: what is dropped by age is written there before. */
  readonly archive: string | undefined
}

/** What the leader does beside sequencing: partitions made ahead, and dropped by age. */
export function keepUp(store: Store, { log, everyMs, archive }: UpkeepOptions): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const round = async (): Promise<void> => {
    if (busy) return
    busy = true
    try {
      const { problem, ...done } = await maintainPartitions(store, { archive })
      if (done.made + done.dropped.length > 0) log.info('partitions changed', done)
      if (problem) log.warn('nothing is dropped by age', { error: problem.message, hint: problem.hint })
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
