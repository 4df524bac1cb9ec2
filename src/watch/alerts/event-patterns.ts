import type { EventPattern } from '../../core/alerts/resolve-alerts.ts'
import { fitting } from '../../core/limits.ts'
import type { TypedEvent } from '../../store/log-by-type.ts'
import { type Counted, countOver } from './count-over.ts'
import { createKnownKeys, type KnownKeys } from './known-keys.ts'

export interface Match {
  readonly key: string
  readonly value: number
  readonly text: string
}

/** How far a key is in a sequence, or since when something is missing. */
interface Steps {
  readonly step: number
  /** Of the first step and of the last one. */
  readonly times: readonly number[]
  /** It was complete since somebody asked. */
  isNew: boolean
}

/** What is remembered between events, by key; JSON. */
export type PatternMemory = Readonly<Record<string, Steps | Counted>>

/** A key that is counted needs more room than one whose steps are followed. */
const mostKeys = { count: 2_000, sequence: 10_000, absence: 10_000 }

const mostKeyBytes = 600

/** Follows one pattern over the log, key by key. Pure but for what it remembers, which is bounded. */
export interface PatternWatch {
  see(seen: TypedEvent): void
  /**
   * What holds at this time, and what held meanwhile: a burst between two looks is one. Forgets what is over. The time is that of the events,
   * not of the one who asks.
   */
  holding(atMs: number): readonly Match[]
  /** Keys that somebody was told of: they are not forgotten for others. */
  keep(keys: readonly string[]): void
  /** Keys that were forgotten, because there are too many, since this was last asked. */
  takeForgotten(): number
  memory(): PatternMemory
}

export function createPatternWatch(pattern: EventPattern, remembered: PatternMemory = {}): PatternWatch {
  const known = createKnownKeys<never>(remembered as Readonly<Record<string, never>>, mostKeys[pattern.kind])
  const rules = { count, sequence, absence }
  const rule = (rules[pattern.kind] as (given: never, keys: KnownKeys<never>) => Rule)(pattern as never, known)
  return {
    see(seen) {
      const key = keyOf(pattern.by, seen)
      // An alert's event has its name before it, in its subject.
      if (key !== undefined) rule.see(fitting(key, mostKeyBytes), seen)
    },
    holding: rule.holding,
    keep: known.keep,
    takeForgotten: known.takeForgotten,
    memory: () => Object.fromEntries(known.all()),
  }
}

interface Rule {
  see(key: string, seen: TypedEvent): void
  holding(atMs: number): readonly Match[]
}
type Of<K extends EventPattern['kind']> = Extract<EventPattern, { kind: K }>

function keyOf(by: EventPattern['by'], { event }: TypedEvent): string | undefined {
  if (by === 'all') return ''
  if (by === 'subject') return event.subject
  if (by === 'tenant') return event.tenant
  if (by === 'user') return event.actor?.userId
  return event.correlationId ?? event.id
}

function count({ of, atLeast, withinMs }: Of<'count'>, known: KnownKeys<Counted>): Rule {
  const counting = countOver({ atLeast, withinMs })
  return {
    see(key, { event, atMs }) {
      if (of.matches(event)) known.put(key, counting.add(known.get(key), atMs))
    },
    holding(atMs) {
      const matches: Match[] = []
      for (const [key, counted] of known.all()) {
        const isHolding = counting.takeHolding(counted, atMs)
        if (isHolding)
          matches.push({ key, value: counted.total, text: `${atLeast} or more within ${withinMs / 1000} s` })
        else if (counting.isOver(counted, atMs)) known.delete(key)
      }
      return matches
    },
  }
}

/** It holds for as long as it may take. */
function sequence({ steps, withinMs }: Of<'sequence'>, known: KnownKeys<Steps>): Rule {
  return {
    see(key, { event, atMs }) {
      const before = known.get(key)
      const isDone = before !== undefined && before.step >= steps.length
      const isPast = before !== undefined && atMs - (before.times[isDone ? 1 : 0] ?? 0) > withinMs
      const at = before === undefined || isPast || isDone ? 0 : before.step
      // Nobody has asked yet: that it was complete is not forgotten with it.
      const isNew = before?.isNew ?? false
      if (steps[at]?.matches(event) === true) {
        if (at === 0 && isDone && !isPast) return
        const isLast = at + 1 === steps.length
        const times = at === 0 ? [atMs] : [before?.times[0] ?? atMs, atMs]
        known.put(key, { step: at + 1, times, isNew: isNew || isLast })
      } else if (isPast && !isDone && !isNew) known.delete(key)
      // A new beginning is nearer than the old one.
      else if (at > 0 && steps[0]?.matches(event) === true) known.put(key, { step: 1, times: [atMs], isNew })
    },
    holding(atMs) {
      const matches: Match[] = []
      for (const [key, own] of known.all()) {
        const { isNew, step, times } = own
        const [first = 0, last = first] = times
        const isDone = step >= steps.length && atMs - last <= withinMs
        const seconds = step >= steps.length ? (last - first) / 1000 : withinMs / 1000
        if (isDone || isNew) matches.push({ key, value: seconds, text: `${steps.length} steps in ${seconds} s` })
        own.isNew = false
        if (!isNew && atMs - last > withinMs) known.delete(key)
      }
      return matches
    },
  }
}

/** What never comes is forgotten after so long. */
const longestMs = 86_400_000

function absence({ after, of, withinMs }: Of<'absence'>, known: KnownKeys<Steps>): Rule {
  return {
    see(key, { event, atMs }) {
      if (of.matches(event)) known.delete(key)
      else if (!known.get(key) && after.matches(event)) known.put(key, { step: 0, times: [atMs], isNew: false })
    },
    holding(atMs) {
      const matches: Match[] = []
      for (const [key, { times }] of known.all()) {
        const waitedMs = atMs - (times[0] ?? atMs)
        if (waitedMs > withinMs + longestMs) known.delete(key)
        else if (waitedMs > withinMs)
          matches.push({ key, value: waitedMs / 1000, text: `nothing followed within ${withinMs / 1000} s` })
      }
      return matches
    },
  }
}
