import { moveSinkCursor } from '../store/sinks.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** Longest time between what is done and the store knowing it. */
const moveEveryMs = 200

/** Notes how far a sink is, and writes it down now and then: beside the carrying, never in its way. */
export interface CursorKeeper {
  reached(position: bigint): void
  /** Writes what is not written yet. Throws what the store says. */
  flush(): Promise<void>
  /** Writes nothing any more. */
  stop(): void
}

export interface CursorKeeperOptions {
  readonly sql: SqlExecutor
  readonly name: string
  readonly epoch: bigint
  readonly position: bigint
  /** Before the store is told: the sink's own marks. */
  beforeMove(position: bigint): Promise<void>
  /** The store refused: it is away, or another leader carries on. */
  onFailed(error: unknown): void
}

export function createCursorKeeper(options: CursorKeeperOptions): CursorKeeper {
  let wanted = options.position
  let written = options.position
  let timer: NodeJS.Timeout | undefined
  let writing = Promise.resolve()
  let stopped = false

  async function write(): Promise<void> {
    const position = wanted
    if (position <= written || stopped) return
    await options.beforeMove(position)
    await moveSinkCursor(options.sql, { name: options.name, epoch: options.epoch, position })
    written = position
  }
  /** One write at a time. */
  function flush(): Promise<void> {
    const next = writing.then(write)
    writing = next.catch(() => {})
    return next
  }
  return {
    reached(position) {
      if (position > wanted) wanted = position
      if (wanted === written || stopped) return
      timer ??= setTimeout(() => {
        timer = undefined
        flush().catch(options.onFailed)
      }, moveEveryMs)
    },
    flush,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
