import type { Schedule } from '../../core/pacer.ts'
import type { Generator } from '../../generators/generator.ts'
import type { EventSource, GenOptions } from './source.ts'

/** What a generator makes, as a source; `total` undefined: without an end. */
export function generated(
  generator: Generator,
  { total, schedule }: { readonly total: number | undefined; readonly schedule: Schedule | undefined },
  { duration, where }: Pick<GenOptions, 'duration' | 'where'>,
): EventSource {
  let left = total ?? Number.POSITIVE_INFINITY
  return {
    name: undefined,
    total,
    schedule,
    durationMs: duration,
    keyed: false,
    where,
    take(max) {
      const size = Math.min(max, left)
      left -= size
      return Array.from({ length: size }, generator.next)
    },
  }
}
