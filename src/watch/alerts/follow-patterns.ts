import type { AlertConfig, EventPattern } from '../../core/alerts/resolve-alerts.ts'
import type { Store } from '../../store/connection.ts'
import { createTypeReader } from '../../store/log-by-type.ts'
import { readUnsequenced } from '../../store/sequencer.ts'
import { createPatternWatch, type Match, type PatternMemory, type PatternWatch } from './event-patterns.ts'
import { readingOf, readSeen } from './read-seen.ts'

/** JSON. It belongs to a place in the log, which may be before the one up to which was told: what lies between is read again. */
export interface PatternsMemory {
  readonly position: string
  readonly judgedMs: number
  /** By rule: what its pattern says, and what it has seen. */
  readonly rules: Readonly<Record<string, { readonly text: string; readonly keys: PatternMemory }>>
}

export interface PatternsOptions {
  readonly store: Store
  readonly rules: readonly AlertConfig[]
  readonly memory: PatternsMemory | undefined
  /** Up to here somebody was told. */
  readonly told: bigint
}

export interface Look {
  /** The server's time, taken before this look. */
  readonly nowMs: number
  /** So long is read; the rest is for the next look. */
  readonly mostMs: number
  readonly signal: AbortSignal
}

/** The rules over events, and how far they have read the log. */
export interface Patterns {
  follow(look: Look): Promise<void>
  /** Undefined while what was told already is read again. */
  holding(rule: string): readonly Match[] | undefined
  /** Keys that were told of. */
  keep(rule: string, keys: readonly string[]): void
  /** By rule, since this was last asked: keys that were forgotten. */
  takeForgotten(): ReadonlyMap<string, number>
  /** Up to here was told, once what holds has been told. */
  readonly position: bigint
  /** The time of the events by which is judged: while the log is read behind, not that of the clock. */
  readonly judgedMs: number
  /** The last look has not come to the end of the log. */
  readonly isBehind: boolean
  memory(): PatternsMemory
  close(): Promise<void>
}

export const isPattern = ({ when }: AlertConfig): boolean =>
  when.kind === 'count' || when.kind === 'sequence' || when.kind === 'absence'

/** Counting goes no further: with more, the relay is away. */
const mostPending = 100_000

/** Connects on first use. */
export function followPatterns({ store, rules, memory, told }: PatternsOptions): Patterns {
  const own = rules.filter(isPattern)
  const watches = new Map(own.map((rule) => [rule.name, watchOf(rule, memory)]))
  const reader = createTypeReader(store, readingOf(own.map(({ when }) => when as EventPattern)))
  let position = memory ? BigInt(memory.position) : told
  let judgedMs = memory?.judgedMs ?? 0
  let isBehind = position < told

  async function readTo(to: bigint, { mostMs, signal }: Look, startMs: number): Promise<number | undefined> {
    const range = { reader, from: position, to, deadlineMs: startMs + mostMs, signal }
    const seen = await readSeen(range, (event) => {
      for (const watch of watches.values()) watch.see(event)
    })
    position = seen.position
    return seen.lastMs
  }

  return {
    async follow(look) {
      const startMs = performance.now()
      // In this order: what was committed before `nowMs` is waiting, or before the head.
      const pending = await readUnsequenced(store, mostPending)
      const head = await reader.head()
      let lastMs: number | undefined
      if (position < told) {
        lastMs = await readTo(told, look, startMs)
        isBehind = true
        if (position < told) return
        for (const watch of watches.values()) watch.holding(lastMs ?? judgedMs)
      }
      lastMs = (await readTo(head, look, startMs)) ?? lastMs
      isBehind = position < head
      const reachedMs = isBehind ? (lastMs ?? judgedMs) : (pending.oldestMs ?? look.nowMs)
      judgedMs = Math.min(look.nowMs, Math.max(judgedMs, reachedMs))
    },
    holding: (rule) => (position < told ? undefined : (watches.get(rule)?.holding(judgedMs) ?? [])),
    keep: (rule, keys) => watches.get(rule)?.keep(keys),
    takeForgotten: () => new Map([...watches].map(([rule, watch]) => [rule, watch.takeForgotten()])),
    get position() {
      return position < told ? told : position
    },
    get judgedMs() {
      return judgedMs
    },
    get isBehind() {
      return isBehind
    },
    memory: () => ({
      position: String(position),
      judgedMs,
      rules: Object.fromEntries(own.map(({ name, text }) => [name, { text, keys: watches.get(name)?.memory() ?? {} }])),
    }),
    close: () => reader.close(),
  }
}

function watchOf({ name, text, when }: AlertConfig, memory: PatternsMemory | undefined): PatternWatch {
  const known = memory?.rules[name]
  return createPatternWatch(when as EventPattern, known?.text === text ? known.keys : undefined)
}
