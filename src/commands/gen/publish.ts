import { type EncodedEvent, encodeEvent, formatCloudEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { maxDataBytes } from '../../core/event.ts'
import { formatCount } from '../../core/quantity.ts'
import { hasGap, type Written, writeLine } from '../../output/ending.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { Output } from '../../output/output.ts'
import { createProgress } from '../../output/progress.ts'
import type { Runtime } from '../runtime.ts'
import { inTime } from './pace.ts'
import type { Seal } from './seal.ts'
import { shownExpectation } from './shown-expectation.ts'
import { explainSilence } from './silence.ts'
import type { EventSource, SourceEvent } from './source.ts'
import type { Stage, Unmet } from './stage.ts'

/** What is published to, and how. */
export interface Destination {
  /** Before their bytes are fixed. */
  readonly seal: Seal
  /** For the last line's meta: `store` or `target`, without the password. */
  readonly shown: { readonly [name in 'store' | 'target']?: string }
  /**
   * Publishes a batch and counts what became of each. Returns the first problem that is one event's; throws what ends the run, after
   * counting what nobody knows.
   */
  publish(events: readonly EncodedEvent[], written: Mutable<Counts>): Promise<EvtError | undefined>
}

/** Says what became of every event. */
export async function publishTo(
  runtime: Runtime,
  source: EventSource,
  destination: Destination,
): Promise<Outcome | undefined> {
  return report(runtime, destination, await publishAll(runtime, source, destination), source.stage?.expected)
}

interface Totals {
  readonly written: Counts
  /** Only where ids came from outside they are told. */
  readonly keyed: boolean
  /** What was asked for, where an interruption left some of it undone. */
  readonly unmade: number
  /** The first reason why something was refused, or why it ended early. */
  readonly problem: EvtError | undefined
  /** It ended before the source did. */
  readonly broken: boolean
  readonly elapsedMs: number
}

const batchSize = 500

/** `accepted` and `confirmed` count what is new. */
export interface Counts extends Written {
  readonly duplicates: number
  readonly conflicts: number
  readonly refused: number
}

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

async function publishAll(runtime: Runtime, source: EventSource, to: Destination): Promise<Totals> {
  const { output, signal, now } = runtime
  const totals = {
    written: { asked: 0, accepted: 0, confirmed: 0, unknown: 0, duplicates: 0, conflicts: 0, refused: 0 },
    problem: undefined as EvtError | undefined,
    broken: false,
  }
  const total = source.total ? { total: source.total } : {}
  const progress = createProgress({ stderr: runtime.terminal.stderr, verb: 'published', now, ...total })
  const { tally, end } = explainSilence(source, output)
  const startedMs = performance.now()
  try {
    for await (const events of inTime(source, { max: batchSize, signal, tally })) {
      const { encoded, reason } = encodeAll(await to.seal(events))
      totals.written.refused += events.length - encoded.length
      totals.problem ??= reason
      totals.written.asked += events.length
      const problem = encoded.length > 0 ? await to.publish(encoded, totals.written) : undefined
      totals.problem ??= problem
      if (output.format === 'ndjson') await printAll(encoded, output)
      progress.update(totals.written.confirmed)
    }
  } catch (error) {
    // What came before it counts: the last line says how much that was.
    if (!(error instanceof EvtError)) throw error
    totals.problem = error
    totals.broken = true
  }
  progress.end()
  if (!totals.broken && !signal.aborted) end()
  // Of a file nobody knows how many it would have been.
  const isCounted = (signal.aborted || totals.broken) && source.name === undefined && source.total !== undefined
  const unmade = isCounted ? Math.max(0, (source.total as number) - tally.taken) : 0
  return { ...totals, keyed: source.keyed, unmade, elapsedMs: performance.now() - startedMs }
}

async function printAll(encoded: readonly EncodedEvent[], output: Output): Promise<void> {
  for (const event of encoded) await output.write(`${formatCloudEvent(event, { dataText: event.dataText })}\n`)
}

/** Fixes the bytes; an event that no store would take is left out, with the reason. */
function encodeAll(events: readonly SourceEvent[]): { encoded: EncodedEvent[]; reason?: EvtError } {
  const encoded: EncodedEvent[] = []
  let reason: EvtError | undefined
  for (const event of events) {
    try {
      encoded.push(encodeOne(event))
    } catch (error) {
      if (!(error instanceof EvtError)) throw error
      reason ??= error
    }
  }
  return { encoded, ...(reason ? { reason } : {}) }
}

/** A checksum that an event brings stays, also a wrong one: `--corrupt bad-checksum` means it. */
function encodeOne(event: SourceEvent): EncodedEvent {
  const encoded = event.dataText === undefined ? encodeEvent(event) : (event as EncodedEvent)
  const bytes = Buffer.byteLength(encoded.dataText)
  if (bytes > maxDataBytes) {
    throw new EvtError(
      'too-large',
      `cannot publish ${event.type} ${event.id}: its data has ${formatCount(bytes)} bytes, the limit is ${formatCount(maxDataBytes)}`,
    )
  }
  return event.checksum === undefined ? encoded : { ...encoded, checksum: event.checksum }
}

/** For scripts. */
const toldExpected = ({ asked, met, unmet }: Stage['expected']) => ({
  asked,
  met,
  unmet: unmet.map(({ expectation, ...rest }) => ({ ...rest, ...expectation })),
})

function report(
  { output, signal }: Runtime,
  { shown }: Destination,
  { written: counts, keyed, unmade, problem, broken, elapsedMs }: Totals,
  expected?: Stage['expected'],
): Outcome | undefined {
  const { duplicates, conflicts, refused, ...made } = counts
  const inLog = made.confirmed + duplicates
  if (problem && inLog === 0 && made.unknown === 0) throw problem
  const written = { ...made, asked: made.asked + unmade }
  const perSecond = Math.round((written.confirmed * 1000) / Math.max(1, elapsedMs))
  if (problem) output.problem(problem)
  const gap = broken || hasGap({ ...made, confirmed: inLog })
  const unsent = broken ? unmade : 0
  const [unmet, met] = [expected?.unmet.length ?? 0, expected?.met ?? 0]
  const more = { duplicates, conflicts, refused, 'never sent': unsent, 'expected and came': met, 'did not come': unmet }
  const parts = Object.entries(more).map(([name, count]) => (count > 0 ? ` · ${name} ${formatCount(count)}` : ''))
  const end = signal.aborted ? ' · interrupted' : ''
  const line = `${writeLine(written)}${parts.join('')} · ${formatCount(perSecond)}/s${end}`
  if (output.format === 'ndjson') output.notice(line)
  else {
    output.result({
      status: gap || signal.aborted || unmet > 0 ? 'fail' : 'pass',
      data: {
        ...written,
        refused,
        ...(expected && expected.asked > 0 ? { expected: toldExpected(expected) } : {}),
        ...(unsent > 0 ? { unsent } : {}),
        ...(keyed ? { duplicates, conflicts } : {}),
      },
      meta: { ...shown, elapsedMs: Math.round(elapsedMs), perSecond },
      render: () => line,
    })
  }
  if (expected) tellUnmet(expected.unmet, output)
  if (gap) return 'partial'
  if (unmet > 0 && !signal.aborted) return 'failed'
  return signal.aborted ? 'interrupted' : undefined
}

const mostTold = 10

function tellUnmet(unmet: readonly Unmet[], output: Output): void {
  for (const { scenario, instance, expectation, seen } of unmet.slice(0, mostTold)) {
    output.warn(
      `scenario ${scenario}, instance ${instance}, ${expectation.step}: expected ${shownExpectation(expectation)}: ${seen}`,
    )
  }
  if (unmet.length > mostTold) output.warn(`and ${formatCount(unmet.length - mostTold)} more did not come`)
}
