import { createRelay } from '../../relay/relay.ts'
import type { RelayLog, RelayRecorder } from '../../relay/relay-recorder.ts'
import type { Store } from '../../store/connection.ts'
import { readLease } from '../../store/lease.ts'

export interface Standby {
  /** Nobody led when the run began. */
  readonly isOwn: boolean
  /** Since when it leads in place of one that led when the run began, µs on the run's clock. */
  readonly tookOverUs: number | undefined
  stop(): Promise<void>
}

export interface StandbyOptions {
  readonly store: Store
  readonly instance: string
  readonly recorder: RelayRecorder
  readonly log: RelayLog
  readonly clock: () => number
}

/**
 * Sees to it that somebody sequences, for the whole run: the relay that leads, and one of our own that leads where none
 * does, also when the other one ends in the middle.
 */
export async function standBy({ store, instance, recorder, log, clock }: StandbyOptions): Promise<Standby> {
  const { leader, remainingMs } = await readLease(store)
  const isOwn = leader === undefined || remainingMs === undefined || remainingMs <= 0
  let tookOverUs: number | undefined
  const relay = createRelay({
    store,
    instance,
    log,
    recorder: {
      sequenced: (events) => recorder.sequenced(events),
      leading(isLeader) {
        if (isLeader && !isOwn) tookOverUs ??= clock()
        recorder.leading(isLeader)
      },
    },
  })
  relay.start()
  return {
    isOwn,
    get tookOverUs() {
      return tookOverUs
    },
    stop: () => relay.stop(),
  }
}
