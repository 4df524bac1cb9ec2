import { type Breaker, type BreakerDesk, createBreaker } from './breaker.ts'
import type { HandlerLog } from './handler.ts'
import type { HandlerConfig } from './handler-config.ts'
import { besideCheck, createHealthCheck, type HealthCheck } from './health-check.ts'
import type { HandlerMeter } from './recorder.ts'

/** What stops a handler without an operator, and lets it go on again. */
export interface SelfStops {
  readonly breaker: Breaker
  readonly check?: HealthCheck
}

export interface SelfStopsOptions {
  readonly config: Pick<HandlerConfig, 'name' | 'breaker' | 'check'>
  readonly desk: BreakerDesk
  readonly meter: Pick<HandlerMeter, 'breaker' | 'unhealthy'>
  readonly log: HandlerLog
  /** For checks that do not say how often. */
  readonly checkIntervalMs?: number | undefined
}

/** A breaker that is open tries events only when the handler's own check says that it may. */
export function createSelfStops({ config, desk, meter, log, checkIntervalMs }: SelfStopsOptions): SelfStops {
  const { name: handler, breaker: policy, check: own } = config
  if (!own) return { breaker: createBreaker({ handler, policy, desk, meter, log }) }
  const check = createHealthCheck({ config: { name: handler, check: own }, meter, log, everyMs: checkIntervalMs })
  const breaker = createBreaker({ handler, policy, desk, meter, log, mayProbe: check.ask })
  return { breaker: besideCheck(breaker, check), check }
}
