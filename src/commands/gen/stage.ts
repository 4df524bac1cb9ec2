import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { createDueQueue } from '../../generators/scenario/due-queue.ts'
import type { Expectation } from '../../generators/scenario/program.ts'
import type { ScenarioGenerator, ScenarioItem } from '../../generators/scenario/scenario-generator.ts'
import type { PaceOptions } from './pace.ts'
import type { SourceEvent } from './source.ts'

/** What did not come. */
export interface Unmet {
  readonly scenario: string
  readonly instance: number
  readonly expectation: Expectation
  /** What came near, for the person who looks for it. */
  readonly seen: string
}

/** Looks at what the system says. */
export interface Watcher {
  /** Resolves with undefined once it came, with what was seen instead when it did not come in time. `own` events do not count. */
  expect(
    expectation: Expectation,
    own: ReadonlySet<string>,
  ): { start(): void; readonly met: Promise<string | undefined> }
}

export interface Stage {
  /** Without one, what is expected is passed over, and counted. */
  watch(watcher: Watcher): void
  /** Batches of events when they are due, instances that wait for something held back. */
  batches(options: PaceOptions): AsyncGenerator<readonly SourceEvent[]>
  readonly expected: {
    readonly asked: number
    readonly met: number
    readonly unmet: readonly Unmet[]
    readonly passedOver: number
  }
}

interface StageOptions {
  readonly generator: ScenarioGenerator
  /** Due times are those of the clock; else everything comes as fast as it is taken. */
  readonly paced: boolean
  readonly durationMs: number | undefined
  /** Where events are of this time: what comes after an answer has a time after it. */
  readonly now?: () => number
}

interface Waiting {
  readonly held: ScenarioItem[]
  start(): void
}

interface Released {
  readonly dueMs: number
  readonly number: number
  readonly item: ScenarioItem
}

/** Instances that wait at once, at full speed. */
const mostWaiting = 500

/** How much later than they were made the events of an instance are, since it was answered. */
interface Delay {
  ms: number
  answeredMs: number | undefined
}

function later(event: SourceEvent, delay: Delay | undefined): SourceEvent {
  if (!delay) return event
  const madeMs = Date.parse(event.time)
  if (Number.isNaN(madeMs)) return event
  if (delay.answeredMs !== undefined) delay.ms = Math.max(delay.ms, delay.answeredMs + 1 - madeMs)
  delay.answeredMs = undefined
  return delay.ms > 0 ? { ...event, time: new Date(madeMs + delay.ms).toISOString() } : event
}

export function createStage({ generator, paced, durationMs = Infinity, now }: StageOptions): Stage {
  const expected = { asked: 0, met: 0, unmet: [] as Unmet[], passedOver: 0 }
  const waiting = new Map<number, Waiting>()
  const own = new Map<number, Set<string>>()
  const delays = new Map<number, Delay>()
  const released = createDueQueue<Released>()
  let watcher: Watcher | undefined
  let startedMs = 0
  let ahead = undefined as ScenarioItem | undefined
  let order = 0
  let wake = () => {}

  const elapsed = () => performance.now() - startedMs
  const peek = () => (ahead ??= generator.next())

  /** Waits for it, and holds back what the instance would do next. */
  const expect = (item: ScenarioItem & { readonly expectation: Expectation }): void => {
    if (!watcher) return void expected.passedOver++
    const { instance, scenario, expectation } = item
    expected.asked += 1
    const asked = watcher.expect(expectation, own.get(instance) ?? new Set())
    const held: ScenarioItem[] = []
    waiting.set(instance, { held, start: asked.start })
    void asked.met.then((seen) => {
      waiting.delete(instance)
      if (seen === undefined) {
        expected.met += 1
        if (now) delays.set(instance, { ms: delays.get(instance)?.ms ?? 0, answeredMs: now() })
      } else expected.unmet.push({ scenario, instance, expectation, seen })
      // What an instance does after it was let down would tell nothing.
      const lateMs = paced ? Math.max(0, elapsed() - item.dueMs) : 0
      if (seen === undefined)
        for (const one of held) released.push({ dueMs: paced ? one.dueMs + lateMs : 0, number: order++, item: one })
      wake()
    })
  }
  const handle = (item: ScenarioItem, batch: SourceEvent[]): void => {
    const theirs = waiting.get(item.instance)
    if (theirs) theirs.held.push(item)
    else if ('expectation' in item) expect(item)
    else {
      batch.push(later(item.event, delays.get(item.instance)))
      if (watcher) own.set(item.instance, (own.get(item.instance) ?? new Set()).add(item.event.id))
    }
  }
  const collect = (max: number): SourceEvent[] => {
    const batch: SourceEvent[] = []
    const untilMs = paced ? elapsed() : Infinity
    for (let one = released.first; one && batch.length < max && one.dueMs <= untilMs; one = released.first) {
      released.shift()
      handle(one.item, batch)
    }
    for (let item = peek(); item && batch.length < max; item = peek()) {
      if (paced ? item.dueMs > untilMs : waiting.size >= mostWaiting) break
      ahead = undefined
      handle(item, batch)
    }
    return batch
  }
  return {
    expected,
    watch(given) {
      watcher = given
    },
    async *batches({ max, signal, tally }) {
      startedMs = performance.now()
      while (!signal.aborted && elapsed() < durationMs) {
        const batch = collect(max)
        const woken = new Promise<void>((resolve) => (wake = resolve))
        if (batch.length > 0) {
          tally.taken += batch.length
          tally.passed += batch.length
          yield batch
        }
        for (const one of waiting.values()) one.start()
        if (batch.length > 0) {
          await nextTurn()
          continue
        }
        const nextMs = Math.min(released.first?.dueMs ?? Infinity, peek()?.dueMs ?? Infinity)
        if (nextMs === Infinity && waiting.size === 0) return
        const leftMs = paced ? Math.max(1, Math.min(nextMs, durationMs) - elapsed()) : 100
        const timer = delay(Math.min(leftMs, 1_000), undefined, { signal, ref: true }).catch(() => {})
        await (waiting.size > 0 ? Promise.race([woken, timer]) : timer)
      }
    },
  }
}
