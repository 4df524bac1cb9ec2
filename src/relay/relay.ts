import { EvtError, toError } from '../core/errors.ts'
import { closeStoreWithin, settlesWithin } from '../store/close-within.ts'
import { openStore, type Store } from '../store/connection.ts'
import { isRefusal } from '../store/errors.ts'
import { acquireLease, type Lease, releaseLease } from '../store/lease.ts'
import { createHeadBell } from './head-bell.ts'
import { lead } from './lead.ts'
import { createLeadGate } from './lead-gate.ts'
import type { RelayLog, RelayRecorder } from './relay-recorder.ts'
import type { SealTaken } from './seal-taken.ts'
import { createSinkMeters, declareSinks, type Sink, startSinks } from './sinks.ts'
import { type Source, startSources } from './sources.ts'
import { createStandingBy } from './standing-by.ts'
import { defaultTimings, type RelayTimings } from './timings.ts'
import { keepUp } from './upkeep.ts'
import { openWake, type Wake } from './wake.ts'

export interface RelayOptions {
  /** Says where to connect; the relay has connections of its own. */
  readonly store: Store
  /** Names this process as the leader. */
  readonly instance: string
  readonly recorder: RelayRecorder
  readonly log: RelayLog
  /** Where the leader carries the log to. */
  readonly sinks?: readonly Sink[]
  /** What each process brings in; where nothing remembers what was read, only the leader does. */
  readonly sources?: readonly Source[]
  /** What contracts encrypt, in what sources bring. */
  readonly seal?: SealTaken | undefined
  readonly timings?: Partial<RelayTimings>
  /** A directory: partitions are written there before they are dropped. */
  readonly archive?: string | undefined
}

/** Sequences while it leads, stands by while another does. One leads per store, whatever happens. */
export interface Relay {
  /** Returns at once; what goes wrong is logged and tried again. */
  start(): void
  /**
   * Finishes the step under way and gives the lease back, so that a standby leads at once; a step without an answer is cut off after
   * `timings.stopping`. Idempotent.
   */
  stop(): Promise<void>
  readonly leading: boolean
  /** Why it cannot: the database is another one than the cursor's, has no schema or refuses us. Cleared when that ends. */
  readonly problem: EvtError | undefined
}

/** A server that refuses us is asked rarely: somebody has to change something. */
const refusedMs = 5_000
const closingMs = 300

export function createRelay(options: RelayOptions): Relay {
  const timings = { ...defaultTimings, ...options.timings }
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let leading = false
  let problem: EvtError | undefined
  let wake: Wake | undefined
  let opened: Store | undefined
  const meterOf = createSinkMeters(options.recorder)
  const gate = createLeadGate()
  const standingBy = createStandingBy(options.log)
  const sinks = options.sinks ?? []
  /** Sources that have to wait until this process leads. */
  const held = new Set<string>()
  let sources: { stop(): Promise<void> } | undefined

  const lead_ = async (own: Store, ears: Wake, lease: Lease): Promise<void> => {
    leading = true
    gate.enter()
    options.recorder.leading(true)
    options.log.info('leading', { epoch: String(lease.epoch) })
    const upkeep = keepUp(own, { log: options.log, everyMs: timings.upkeep, archive: options.archive })
    const bell = createHeadBell()
    let carrying: { stop(): Promise<void> } | undefined
    try {
      // Before the first step: what that sequences is theirs.
      await declareSinks(own, sinks, options.log)
      carrying = startSinks({ ...options, sinks, epoch: lease.epoch, bell, meterOf })
      await lead({ ...options, sql: own, lease, wake: ears, timings, stopping: stopping.signal, bell })
    } finally {
      leading = false
      gate.leave()
      options.recorder.leading(false)
      await carrying?.stop()
      await upkeep.stop()
      await releaseLease(own, lease).catch(() => {})
    }
  }
  const campaign = async (own: Store, ears: Wake): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const lease = await acquireLease(own, options.instance, timings.lease)
        problem = undefined
        if (lease) await lead_(own, ears, lease)
        else {
          await standingBy.look(own, { sinks: sinks.map(({ config }) => config.name), sources: [...held] })
          await ears.sleep(timings.standby)
        }
      } catch (error) {
        problem = report(error, problem, options.log)
        await ears.sleep(isRefusal(error) ? refusedMs : timings.standby)
      }
    }
  }
  const run = async (): Promise<void> => {
    const ears = openWake(options.store.connectionString)
    wake = ears
    const own = await connect(options, ears, stopping.signal, (error) => {
      problem = report(error, problem, options.log)
      return isRefusal(error) ? refusedMs : timings.standby
    })
    opened = own
    try {
      if (own) await campaign(own, ears)
    } finally {
      await close()
    }
  }
  const close = async (): Promise<void> => {
    await Promise.all([wake?.close(), opened && closeStoreWithin(opened, closingMs)])
  }
  return {
    start() {
      running ??= run()
      sources ??= startSources({
        ...options,
        sources: options.sources ?? [],
        ours: sinks.map(({ config }) => config),
        leading(source) {
          held.add(source)
          return gate.leading().finally(() => held.delete(source))
        },
      })
    },
    async stop() {
      stopping.abort()
      wake?.stir()
      gate.close()
      await sources?.stop()
      if (await settlesWithin(running, timings.stopping)) return
      await close()
      await settlesWithin(running, closingMs)
    },
    get leading() {
      return leading
    },
    get problem() {
      return problem
    },
  }
}

async function connect(
  options: RelayOptions,
  wake: Wake,
  stopping: AbortSignal,
  onFailed: (error: unknown) => number,
): Promise<Store | undefined> {
  while (!stopping.aborted) {
    try {
      // One for the steps, one for renewals and one for upkeep: none waits for another.
      return await openStore(options.store.connectionString, { applicationName: 'evt relay', max: 3 })
    } catch (error) {
      await wake.sleep(onFailed(error))
    }
  }
  return undefined
}

/** Says each problem once, not at every try. */
function report(error: unknown, before: EvtError | undefined, log: RelayLog): EvtError | undefined {
  if (error instanceof EvtError && error.code === 'fenced') {
    log.info('another relay leads', { error: error.message })
    return undefined
  }
  if (error instanceof EvtError && (error.code === 'refused' || error.code === 'migrations' || isRefusal(error))) {
    if (before?.message !== error.message) log.error(error.message, { hint: error.hint })
    return error
  }
  log.warn('the relay tries again', { error: toError(error).message })
  return before
}
