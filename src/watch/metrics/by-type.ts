/** What one handler did with events of one type. */
export interface TypeSample {
  readonly handler: string
  readonly service: string
  readonly type: string
  readonly handled: number
  readonly failed: number
  readonly dead: number
  /** Of the attempts that succeeded. */
  readonly runUs: number
}

interface Tally {
  handled: number
  failed: number
  dead: number
  runUs: number
}

/** More types of one handler count together: a type comes from whoever publishes. */
const mostTypes = 100
const rest = 'other'

/** Counts by type in memory: a look-up an event, no allocation but for a type's first. */
export function createTypeTallies(handler: string, service: string) {
  const tallies = new Map<string, Tally>()
  return {
    of(type: string): Tally {
      const known = tallies.get(type)
      if (known) return known
      const name = tallies.size < mostTypes ? type : rest
      const tally = tallies.get(name) ?? { handled: 0, failed: 0, dead: 0, runUs: 0 }
      tallies.set(name, tally)
      return tally
    },
    sample: (): readonly TypeSample[] => [...tallies].map(([type, tally]) => ({ handler, service, type, ...tally })),
  }
}
