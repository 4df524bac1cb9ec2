import { EvtError } from '../core/errors.ts'
import { isOutage } from '../store/errors.ts'
import { beatReplay, type ReplayLease } from '../store/replays.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** How a run of a replay ended. */
export type ReplayEnd = 'done' | 'paused' | 'stopped' | 'interrupted'

export interface RunProgress {
  readonly done: number
  readonly position?: bigint
}

export interface HeldOptions {
  readonly sql: SqlExecutor
  readonly lease: ReplayLease
  readonly signal: AbortSignal
  progress(): RunProgress
}

/** The run's hold of its replay. */
export interface Held {
  /** Aborts when it has to end: told to pause or to stop, taken over, or by the caller's signal. */
  readonly ending: AbortSignal
  /** Writes the progress down and hears what it is told. Throws `fenced` when another process has it. */
  beat(): Promise<void>
  /** Why it has to end. */
  end(): ReplayEnd | undefined
}

export function holdReplay({ sql, lease, signal, progress }: HeldOptions): Held {
  const told = new AbortController()
  let why: ReplayEnd | undefined
  return {
    ending: AbortSignal.any([signal, told.signal]),
    async beat() {
      const status = await beatReplay(sql, lease, progress()).catch((error: unknown) => {
        // It may come back before the lease is over.
        if (isOutage(error)) return 'running' as const
        throw error
      })
      if (status === undefined) {
        const error = new EvtError('fenced', `cannot go on with replay ${lease.id}: another process has it`, {
          hint: 'evt replay list says who',
        })
        told.abort(error)
        throw error
      }
      if (status === 'running') return
      why = status === 'done' ? 'done' : status
      told.abort(new EvtError('interrupted', `replay ${lease.id} is ${status}`))
    },
    end: () => why ?? (signal.aborted ? 'interrupted' : undefined),
  }
}
