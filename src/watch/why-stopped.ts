import { formatAge } from '../core/duration.ts'
import type { StoppedHandler } from './snapshot.ts'
import { isStuckReason } from './stuck.ts'

/** In one line: by whom, since when and why. Undefined when nothing but a bridge is missing. */
export function whyStopped(
  { pause, breaker, unhealthy }: Pick<StoppedHandler, 'pause' | 'breaker' | 'unhealthy'>,
  nowMs: number,
): string | undefined {
  const age = (at: string) => formatAge(Math.max(0, nowMs - Date.parse(at)))
  if (pause) return `paused by ${pause.by} ${age(pause.at)} ago${pause.reason ? `: ${pause.reason}` : ''}`
  if (breaker?.state !== 'open') {
    if (unhealthy === null) return undefined
    return isStuckReason(unhealthy) ? unhealthy : `its own check fails: ${unhealthy}`
  }
  const { since, failing, seen, error } = breaker
  return `breaker open for ${age(since)}: ${failing} of ${seen} subjects fail: ${error}`
}
