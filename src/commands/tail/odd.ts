import { formatCount } from '../../core/quantity.ts'
import type { Seen } from './source.ts'

interface Counts {
  unknown: number
  undecodable: number
}

export interface Odd {
  count(seen: Seen, how: 'shown' | 'left-out'): void
  /** Of both; undefined when there was none. */
  total(): Readonly<Counts> | undefined
  /** For the last lines; undefined when there was none. */
  text(): string | undefined
}

/** What has no known shape, or cannot be decoded: also what the filter leaves out, since it may be what was looked for. */
export function createOdd(): Odd {
  const counts = { shown: { unknown: 0, undecodable: 0 }, 'left-out': { unknown: 0, undecodable: 0 } }
  return {
    count(seen, how) {
      if (seen.isUnknown) counts[how].unknown++
      else if (seen.evt.error !== undefined) counts[how].undecodable++
    },
    total() {
      const { shown, 'left-out': out } = counts
      const sum = { unknown: shown.unknown + out.unknown, undecodable: shown.undecodable + out.undecodable }
      return sum.unknown + sum.undecodable > 0 ? sum : undefined
    },
    text() {
      const shown = namesOf(counts.shown)
      const out = namesOf(counts['left-out'])
      const lines = [
        ...(shown ? [`${shown}: shown as they are; --explain says why`] : []),
        ...(out ? [`${out}: not matched, and so not shown; without a pattern or --where they are`] : []),
      ]
      return lines.length > 0 ? lines.join('; ') : undefined
    },
  }
}

function namesOf({ unknown, undecodable }: Counts): string {
  const parts = [
    ...(unknown > 0 ? [`${formatCount(unknown)} in no known shape`] : []),
    ...(undecodable > 0 ? [`${formatCount(undecodable)} that cannot be decoded`] : []),
  ]
  return parts.join(', ')
}
