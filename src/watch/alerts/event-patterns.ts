import type { EventPattern } from '../../core/alerts/resolve-alerts.ts'
import type { EvtEvent } from '../../core/event.ts'

/** An event of the log, with the time of its commit: clocks of publishers decide nothing. */
export interface SeenEvent {
  readonly event: Pick<EvtEvent, 'type' | 'subject' | 'correlationId' | 'actor' | 'tenant' | 'id'>
  readonly atMs: number
}

export interface Match {
  readonly key: string
  readonly value: number
  readonly text: string
}

/** What is remembered between events; JSON. By key: times, or how far a sequence is. */
export type PatternMemory = Record<string, { readonly step: number; readonly times: readonly number[] }>

/** More keys of one rule are forgotten, those first that were touched last: a flood of subjects must not fill the memory. */
const mostKeys = 2_000

/** Follows one pattern over the log, key by key. Pure but for what it remembers. */
export interface PatternWatch {
  see(seen: SeenEvent): void
  /** What holds at this moment; forgets what is over. */
  holding(nowMs: number): readonly Match[]
  memory(): PatternMemory
}

export function createPatternWatch(pattern: EventPattern, remembered: PatternMemory = {}): PatternWatch {
  const known = new Map(Object.entries(remembered))
  const put = (key: string, step: number, times: readonly number[]) => {
    known.delete(key)
    known.set(key, { step, times })
    if (known.size > mostKeys) known.delete(known.keys().next().value as string)
  }
  const rules = { count, sequence, absence }
  return (rules[pattern.kind] as (given: never, memory: Known, set: typeof put) => PatternWatch)(
    pattern as never,
    known,
    put,
  )
}

type Known = Map<string, { readonly step: number; readonly times: readonly number[] }>
type Put = (key: string, step: number, times: readonly number[]) => void
type Of<K extends EventPattern['kind']> = Extract<EventPattern, { kind: K }>

function keyOf(by: EventPattern['by'], { event }: SeenEvent): string | undefined {
  if (by === 'all') return ''
  if (by === 'subject') return event.subject
  if (by === 'tenant') return event.tenant
  if (by === 'user') return event.actor?.userId
  return event.correlationId ?? event.id
}

function count({ of, atLeast, withinMs, by }: Of<'count'>, known: Known, put: Put): PatternWatch {
  return {
    see(seen) {
      const key = keyOf(by, seen)
      if (key === undefined || !of.matches(seen.event)) return
      // Only so many decide: memory does not grow with the flood.
      const times = [...(known.get(key)?.times ?? []), seen.atMs].slice(-atLeast)
      put(key, 0, times)
    },
    holding(nowMs) {
      const matches: Match[] = []
      for (const [key, { times }] of known) {
        const recent = times.filter((atMs) => nowMs - atMs <= withinMs)
        if (recent.length === 0) known.delete(key)
        else if (recent.length >= atLeast)
          matches.push({ key, value: recent.length, text: `${atLeast} or more within ${withinMs / 1000} s` })
      }
      return matches
    },
    memory: () => Object.fromEntries(known),
  }
}

/** `times` holds when it began, and when it was complete. It holds for as long as it may take. */
function sequence({ steps, withinMs, by }: Of<'sequence'>, known: Known, put: Put): PatternWatch {
  return {
    see(seen) {
      const key = keyOf(by, seen)
      if (key === undefined) return
      const before = known.get(key)
      const isDone = before !== undefined && before.step >= steps.length
      const isLate = before !== undefined && !isDone && seen.atMs - (before.times[0] ?? 0) > withinMs
      const at = before === undefined || isLate || isDone ? 0 : before.step
      if (steps[at]?.matches(seen.event) === true) {
        if (at === 0 && isDone) return
        put(key, at + 1, at === 0 ? [seen.atMs] : [before?.times[0] ?? seen.atMs, seen.atMs])
      } else if (isLate) known.delete(key)
      // A new beginning is nearer than the old one.
      else if (at > 0 && steps[0]?.matches(seen.event) === true) put(key, 1, [seen.atMs])
    },
    holding(nowMs) {
      const matches: Match[] = []
      for (const [key, { step, times }] of known) {
        const last = times.at(-1) ?? 0
        if (nowMs - last > withinMs) known.delete(key)
        else if (step >= steps.length)
          matches.push({
            key,
            value: (last - (times[0] ?? last)) / 1000,
            text: `${steps.length} steps in ${(last - (times[0] ?? last)) / 1000} s`,
          })
      }
      return matches
    },
    memory: () => Object.fromEntries(known),
  }
}

/** What never comes is forgotten after so long. */
const longestMs = 86_400_000

function absence({ after, of, withinMs, by }: Of<'absence'>, known: Known, put: Put): PatternWatch {
  return {
    see(seen) {
      const key = keyOf(by, seen)
      if (key === undefined) return
      if (of.matches(seen.event)) known.delete(key)
      else if (!known.has(key) && after.matches(seen.event)) put(key, 0, [seen.atMs])
    },
    holding(nowMs) {
      const matches: Match[] = []
      for (const [key, { times }] of known) {
        const waitedMs = nowMs - (times[0] ?? nowMs)
        if (waitedMs > withinMs + longestMs) known.delete(key)
        else if (waitedMs > withinMs)
          matches.push({ key, value: waitedMs / 1000, text: `nothing followed within ${withinMs / 1000} s` })
      }
      return matches
    },
    memory: () => Object.fromEntries(known),
  }
}
