import { type EncodedEvent, encodeEvent, formatCloudEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { maxDataBytes } from '../../core/event.ts'
import { redactUrl } from '../../core/mask.ts'
import { formatCount } from '../../core/quantity.ts'
import { hasGap, type Written, writeLine } from '../../output/ending.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { Output } from '../../output/output.ts'
import { createProgress } from '../../output/progress.ts'
import type { Audit } from '../../store/audit.ts'
import type { Store } from '../../store/connection.ts'
import { askConsent, type ConsentAnswers, refuseAboveMaxAffected, refuseWhenReadonly } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { isOwnMachine, withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { findKnown, noneKnown } from './known.ts'
import { inTime } from './pace.ts'
import { explainSilence } from './silence.ts'
import type { EventSource, SourceEvent } from './source.ts'

interface PublishInput {
  readonly options: ConsentAnswers & { readonly target?: string | undefined }
  readonly typed: ReadonlySet<string>
}

/** Into the store, in transactions of their own; says what became of every event. */
export async function publishTo(
  runtime: Runtime,
  source: EventSource,
  { options, typed }: PublishInput,
): Promise<Outcome | undefined> {
  const { target } = options
  return withStore(runtime, { command: 'gen', max: 2, ...(target ? { url: target } : {}) }, async (store, place) => {
    const what = `publish to ${store.url}`
    refuseWhenReadonly(runtime, what)
    const own = isOwnMachine(place.url) && !runtime.config.profile?.protect
    await consent(runtime, source, { store, own, options, typed })
    const audit = own ? undefined : await auditAs('gen', { target: 'outbox', reason: options.reason })
    const totals = await publishAll(runtime, source, { store, audit })
    return report(runtime, store, totals)
  })
}

async function consent(
  runtime: Runtime,
  source: EventSource,
  asked: { store: Store; own: boolean; options: ConsentAnswers; typed: ReadonlySet<string> },
): Promise<void> {
  if (asked.own && asked.options.maxAffected === undefined) return
  if (source.total === undefined) {
    throw new EvtError(
      'refused',
      `cannot publish to ${asked.store.url}: ${asked.own ? '--max-affected is given' : 'it is not this machine'}, and the number of events is not known`,
      {
        hint: 'bound it with --count, or with --rate and --duration',
      },
    )
  }
  const plan = { verb: 'publish', noun: 'synthetic events', count: source.total, target: asked.store.url, samples: [] }
  const whole = { ...plan, options: asked.options, typed: asked.typed }
  if (asked.own) refuseAboveMaxAffected(whole)
  else await askConsent(runtime, whole)
}

interface Totals {
  readonly written: Counts
  /** Only where ids came from outside they are told. */
  readonly keyed: boolean
  /** What was asked for, where an interruption left some of it undone. */
  readonly unmade: number
  readonly refused: number
  /** The first reason why something was refused, or why it ended early. */
  readonly problem: EvtError | undefined
  /** It ended before the source did. */
  readonly broken: boolean
  readonly elapsedMs: number
}

const batchSize = 500

/** `accepted` and `confirmed` count what is new. */
interface Counts extends Written {
  readonly duplicates: number
  readonly conflicts: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Destination {
  readonly store: Store
  readonly audit: Audit | undefined
}

async function publishAll(runtime: Runtime, source: EventSource, to: Destination): Promise<Totals> {
  const { output, signal, now } = runtime
  const totals = {
    written: { asked: 0, accepted: 0, confirmed: 0, unknown: 0, duplicates: 0, conflicts: 0 },
    refused: 0,
    problem: undefined as EvtError | undefined,
    broken: false,
  }
  const total = source.total ? { total: source.total } : {}
  const progress = createProgress({ stderr: runtime.terminal.stderr, verb: 'published', now, ...total })
  const { tally, end } = explainSilence(source, output)
  const startedMs = performance.now()
  try {
    for await (const events of inTime(source, { max: batchSize, signal, tally })) {
      const { encoded, reason } = encodeAll(events)
      totals.refused += events.length - encoded.length
      totals.problem ??= reason
      totals.written.asked += events.length
      const conflict = await publishBatch(to, encoded, { keyed: source.keyed, written: totals.written })
      totals.problem ??= conflict
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
  const isCounted = signal.aborted && source.name === undefined && source.total !== undefined
  const unmade = isCounted ? Math.max(0, (source.total as number) - tally.taken) : 0
  return { ...totals, keyed: source.keyed, unmade, elapsedMs: performance.now() - startedMs }
}

/**
 * One transaction. A connection that is lost while it commits takes the answer with it. Returns the first that conflicts
 * with another of its id, as a problem.
 */
async function publishBatch(
  { store, audit }: Destination,
  encoded: readonly EncodedEvent[],
  { keyed, written }: { keyed: boolean; written: Mutable<Counts> },
): Promise<EvtError | undefined> {
  if (encoded.length === 0) return undefined
  const { publishEncoded } = await import('../../store/outbox.ts')
  try {
    const known = await store.transaction(async (sql) => {
      const found = keyed ? await findKnown(sql, encoded) : undefined
      await publishEncoded(sql, encoded, { keyed })
      await audit?.(sql, encoded.length)
      return found ?? noneKnown
    })
    const added = encoded.length - known.duplicates - known.conflicts.length
    written.accepted += added
    written.confirmed += added
    written.duplicates += known.duplicates
    written.conflicts += known.conflicts.length
    return known.conflicts[0] && conflictOf(known.conflicts[0])
  } catch (error) {
    if (error instanceof EvtError && error.code === 'connect') written.unknown += encoded.length
    throw error
  }
}

const conflictOf = ({ type, id }: EncodedEvent) =>
  new EvtError('partial', `cannot publish ${type} ${id}: another event with this id and other data came first`, {
    hint: 'give it an id of its own; what was refused is kept in evt.refused once a bridge has seen it',
  })

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

function report(
  { output, signal }: Runtime,
  store: Store,
  { written: counts, keyed, unmade, refused, problem, broken, elapsedMs }: Totals,
): Outcome | undefined {
  const { duplicates, conflicts, ...made } = counts
  const inLog = made.confirmed + duplicates
  if (problem && inLog === 0) throw problem
  const written = { ...made, asked: made.asked + unmade }
  const perSecond = Math.round((written.confirmed * 1000) / Math.max(1, elapsedMs))
  if (problem) output.problem(problem)
  const gap = broken || hasGap({ ...made, confirmed: inLog })
  const more = { duplicates, conflicts, refused }
  const parts = Object.entries(more).map(([name, count]) => (count > 0 ? ` · ${name} ${formatCount(count)}` : ''))
  const end = signal.aborted ? ' · interrupted' : ''
  const line = `${writeLine(written)}${parts.join('')} · ${formatCount(perSecond)}/s${end}`
  if (output.format === 'ndjson') output.notice(line)
  else {
    output.result({
      status: gap || signal.aborted ? 'fail' : 'pass',
      data: { ...written, refused, ...(keyed ? { duplicates, conflicts } : {}) },
      meta: { store: redactUrl(store.url), elapsedMs: Math.round(elapsedMs), perSecond },
      render: () => line,
    })
  }
  if (gap) return 'partial'
  return signal.aborted ? 'interrupted' : undefined
}
