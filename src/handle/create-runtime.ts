import { claimProbe, endProbe, openBreaker } from '../store/breakers.ts'
import type { Sessions } from '../store/sessions.ts'
import { type BreakerDesk, probesOfRound } from './breaker.ts'
import type { ConnectionGate } from './connection-gate.ts'
import type { DueSchedule } from './due-schedule.ts'
import type { HandlerConfig } from './handler-config.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { createHealthJudge } from './health.ts'
import { createPace } from './pace.ts'
import { createPreparer } from './prepare.ts'
import type { HandlerMeter } from './recorder.ts'
import type { Results } from './results.ts'
import { createSelfStops, type SelfStops } from './self-stops.ts'
import type { StoreWatch } from './store-watch.ts'
import type { SubscribersOptions } from './subscribers.ts'
import { createUnwritten } from './unwritten.ts'
import type { Watchdog } from './watchdog.ts'

/** What all handlers of a process share. */
export interface SharedRuntime {
  readonly options: SubscribersOptions
  readonly sessions: Sessions
  readonly gate: ConnectionGate
  /** Events in all handlers at the same time, at most. */
  readonly mostConcurrent: number | undefined
  readonly watch: StoreWatch
  readonly schedule: DueSchedule
  readonly watchdog: Watchdog | undefined
  readonly results: Results | undefined
}

/** Beyond the time that the handler has for its probes. */
const probeGraceMs = 10_000

/** `forced` is aborted when the handler's time to drain is over. */
export function createRuntime(config: HandlerConfig, shared: SharedRuntime, forced: AbortSignal): HandlerRuntime {
  const { options, sessions, gate, mostConcurrent, watch, watchdog, results, schedule } = shared
  const { store, log, instance } = options
  const { name: handler, service: group, priority, concurrency } = config
  const meter = options.recorder.handler({ handler, group, priority, concurrency })
  const judge = createHealthJudge()
  const widest = mostConcurrent === undefined ? config.width : Math.floor(mostConcurrent / gate.places)
  return {
    config,
    store,
    transport: options.transport,
    preparer: createPreparer(config, options.registry),
    meter,
    log,
    instance,
    pace: createPace({
      widest: Math.max(1, Math.min(config.width, widest)),
      timeoutMs: config.timeoutMs,
      transactions: config.transaction === 'batch' ? 'shared' : 'own',
      largest: config.takes,
    }),
    forced,
    async openSession(own = priority) {
      const leave = await gate.enter(own)
      try {
        return { session: await sessions.open(), leave }
      } catch (error) {
        leave()
        throw error
      }
    },
    ...(mostConcurrent === undefined ? {} : { enter: () => gate.enter(priority) }),
    publish: (sql, events) => options.publish(sql, events, handler),
    schedule: (owned, job, delayMs) => schedule.add(owned, job, delayMs),
    storeIsBack: watch.isBack,
    ...(watchdog ? { watchdog } : {}),
    ...(results ? { results } : {}),
    ...selfStopsOf(config, { options, meter }),
    unwritten: createUnwritten(meter),
    outcomes: (succeeded, failed) => meter.health(judge.outcomes(succeeded, failed, performance.now())),
  }
}

function selfStopsOf(
  config: HandlerConfig,
  { options, meter }: { readonly options: SubscribersOptions; readonly meter: HandlerMeter },
): SelfStops {
  const { name: handler, breaker: policy, timeoutMs } = config
  const { instance, store, log, checkIntervalMs } = options
  const againInMs = policy?.probeMs ?? 0
  const desk: BreakerDesk = {
    open: (trip) => openBreaker(store, { ...trip, handler, instance, probeInMs: againInMs }),
    claim: () => claimProbe(store, { handler, instance, withinMs: probesOfRound * timeoutMs + probeGraceMs }),
    end: (closes) => endProbe(store, { handler, instance, closes, againInMs }),
  }
  return createSelfStops({ config, desk, meter, log, checkIntervalMs })
}
