import { formatCount } from '../../core/quantity.ts'
import type { Output } from '../../output/output.ts'
import type { EventSource } from './source.ts'

/** What has come so far. */
export interface Tally {
  taken: number
  /** Past `--where`. */
  passed: number
}

const silentMs = 3_000

/** After 3 s without an event, and at an end without one, one line says why. */
export function explainSilence(source: EventSource, output: Output): { readonly tally: Tally; end(): void } {
  const tally: Tally = { taken: 0, passed: 0 }
  const timer = setTimeout(() => {
    if (tally.passed > 0) return
    if (tally.taken > 0) output.notice(`nothing yet: --where matched none of ${formatCount(tally.taken)} events so far`)
    else if (source.name) output.notice(`nothing yet: waiting for an event from ${source.name}`)
  }, silentMs)
  timer.unref()
  return {
    tally,
    end() {
      clearTimeout(timer)
      if (tally.passed === 0) output.notice(`no event was made: ${reason(source, tally)}`)
    },
  }
}

function reason({ name, total, durationMs }: EventSource, { taken }: Tally): string {
  if (taken > 0) return `--where matched none of ${formatCount(taken)} events`
  if (durationMs === 0) return '--duration is 0'
  if (total === 0) return '--count is 0'
  return name ? `${name} holds no event` : 'none was due'
}
