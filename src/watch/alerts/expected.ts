import type { Expectation } from '../../core/alerts/resolve-alerts.ts'
import type { TypeTraffic } from '../../store/analytics.ts'
import type { Active } from './transitions.ts'

/** Of the hour before its last event, a type came in at least so many minutes: then it is expected to go on. */
const regularMinutes = 30
const leastSilenceMs = 5 * 60_000
/** Longer than so many of its usual gaps. */
const gaps = 5

export interface Expected {
  readonly rule: Expectation
  readonly traffic: readonly TypeTraffic[]
  /** When the rule was first looked at: what never came is missed from then on. */
  readonly sinceMs: number
  readonly nowMs: number
}

export function expectedActive({ rule, traffic, sinceMs, nowMs }: Expected): ReadonlyMap<string, Active> {
  const known = traffic.filter(({ type }) => rule.matches(type))
  const { withinMs } = rule
  const active = (silentMs: number): Active => ({
    value: silentMs / 1000,
    says: `none for ${Math.round(silentMs / 1000)} s`,
  })
  if (withinMs !== undefined) {
    const silentMs = nowMs - Math.max(sinceMs, ...known.map(({ lastMs }) => lastMs))
    return new Map(silentMs > withinMs ? [['', active(silentMs)]] : [])
  }
  const late = known.filter(({ lastMs, activeMinutes }) => {
    const usualMs = (60 / Math.max(1, activeMinutes)) * 60_000
    return activeMinutes >= regularMinutes && nowMs - lastMs > Math.max(leastSilenceMs, gaps * usualMs)
  })
  return new Map(late.map(({ type, lastMs }) => [type, active(nowMs - lastMs)]))
}
