// Room bridge: the parts of a bridge, one file each. `bridge.ts` starts them in their order, and stops what they kept, the last first.
import type { Registry } from '../core/registry.ts'
import type { HandlerLog } from '../handle/handler.ts'
import type { Store } from '../store/connection.ts'
import type { ServerProblem } from '../transports/transport.ts'
import type { Recorder } from '../watch/recorder.ts'
import type { BridgeOptions } from './options.ts'

/** What a part of a bridge works with. */
export interface PartContext {
  readonly options: BridgeOptions
  /** Open, and of this version's schema. */
  readonly store: Store
  /** Of all contracts that the bridge knows. */
  readonly registry: Registry
  readonly instance: string
  readonly graceMs: number
  readonly log: HandlerLog
  /** Says the same thing once in a while, not each time. */
  readonly calm: HandlerLog
  readonly recorder: Recorder
  /** Aborted when the bridge begins to stop. */
  readonly signal: AbortSignal
  /** The groups of this bridge's handlers are there, or it has none. */
  readonly readable: PromiseWithResolvers<void>
  /** What has to be stopped: the last kept is the first to stop. */
  keep(name: string, stop: () => Promise<unknown>): void
}

/** For `openTransport`: what fails under `where`, and what its server could lose, goes to the log. */
export function reportsOf({ calm }: Pick<PartContext, 'calm'>, where: string) {
  return {
    onProblem: (error: Error) =>
      calm.error(`something fails under ${where}`, { error: error.message, hint: (error as { hint?: string }).hint }),
    onServerProblem: ({ problem, remedy }: ServerProblem) =>
      calm.warn(`the server of ${where} could lose what it takes`, { problem, hint: remedy }),
  }
}

/** Rejects with the signal's reason. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
