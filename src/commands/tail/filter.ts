import type { Instant } from '../../core/instant.ts'
import { compilePatterns } from '../../core/pattern.ts'
import type { Where } from '../../core/where.ts'
import type { Seen } from './source.ts'

export interface FilterOptions {
  readonly patterns: readonly string[]
  readonly where?: Where | undefined
  readonly until?: Instant | undefined
  readonly nowMs: number
}

export interface Filter {
  /** As typed, for messages. */
  readonly text: string
  /** `later`: beyond `--until`. */
  test(seen: Seen): 'show' | 'skip' | 'later'
}

export function createFilter({ patterns, where, until, nowMs }: FilterOptions): Filter {
  const pattern = compilePatterns(patterns)
  const beyond = limitOf(until, nowMs)
  return {
    text: [patterns.map((one) => `'${one}'`).join(' '), ...(where ? [`--where '${where.text}'`] : [])].join(' '),
    test(seen) {
      if (beyond?.(seen)) return 'later'
      if (!pattern.matches(seen.event.type)) return 'skip'
      return where && !where.test(subjectOf(seen)) ? 'skip' : 'show'
    },
  }
}

/** The event with `evt` beside its fields. */
const subjectOf = ({ event, evt }: Seen): object => ({ ...event, evt })

function limitOf(until: Instant | undefined, nowMs: number): ((seen: Seen) => boolean) | undefined {
  if (until === undefined || until === 'start') return until && (() => true)
  if (until === 'now') return ({ recordedMs }) => recordedMs > nowMs
  if ('timeMs' in until) return ({ recordedMs }) => recordedMs > until.timeMs
  const last = BigInt(until.position)
  return ({ evt }) => evt.position !== undefined && /^\d+$/.test(evt.position) && BigInt(evt.position) > last
}
