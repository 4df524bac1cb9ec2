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
import { askConsent, type ConsentAnswers, refuseWhenReadonly } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { isOwnMachine, withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
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
    if (!own) await consent(runtime, source, { store, options, typed })
    const audit = own ? undefined : await auditAs('gen', { target: 'outbox', reason: options.reason })
    const totals = await publishAll(runtime, source, { store, audit })
    return report(runtime, store, totals)
  })
}

async function consent(
  runtime: Runtime,
  source: EventSource,
  asked: { store: Store; options: ConsentAnswers; typed: ReadonlySet<string> },
): Promise<void> {
  if (source.total === undefined) {
    throw new EvtError(
      'refused',
      `cannot publish to ${asked.store.url}: it is not this machine, and the number of events is not known`,
      {
        hint: 'bound it with --count, or with --rate and --duration',
      },
    )
  }
  const plan = { verb: 'publish', noun: 'synthetic events', count: source.total, target: asked.store.url, samples: [] }
  await askConsent(runtime, { ...plan, options: asked.options, typed: asked.typed })
}

interface Totals {
  readonly written: Written
  readonly refused: number
  /** The first reason why something was refused, or why it ended early. */
  readonly problem: EvtError | undefined
  /** It ended before the source did. */
  readonly broken: boolean
  readonly elapsedMs: number
}

const batchSize = 500

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Destination {
  readonly store: Store
  readonly audit: Audit | undefined
}

async function publishAll(runtime: Runtime, source: EventSource, to: Destination): Promise<Totals> {
  const { output, signal, now } = runtime
  const totals = {
    written: { asked: 0, accepted: 0, confirmed: 0, unknown: 0 },
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
      await publishBatch(to, encoded, { keyed: source.keyed, written: totals.written })
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
  return { ...totals, elapsedMs: performance.now() - startedMs }
}

/** One transaction. A connection that is lost while it commits takes the answer with it. */
async function publishBatch(
  { store, audit }: Destination,
  encoded: readonly EncodedEvent[],
  { keyed, written }: { keyed: boolean; written: Mutable<Written> },
): Promise<void> {
  if (encoded.length === 0) return
  const { publishEncoded } = await import('../../store/outbox.ts')
  try {
    await store.transaction(async (sql) => {
      await publishEncoded(sql, encoded, { keyed })
      await audit?.(sql, encoded.length)
    })
  } catch (error) {
    if (error instanceof EvtError && error.code === 'connect') written.unknown += encoded.length
    throw error
  }
  written.accepted += encoded.length
  written.confirmed += encoded.length
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

function report(
  { output, signal }: Runtime,
  store: Store,
  { written, refused, problem, broken, elapsedMs }: Totals,
): Outcome | undefined {
  if (problem && written.confirmed === 0) throw problem
  const perSecond = Math.round((written.confirmed * 1000) / Math.max(1, elapsedMs))
  if (problem) output.problem(problem)
  const gap = broken || hasGap(written)
  const line = `${writeLine(written)}${refused > 0 ? ` · refused ${formatCount(refused)}` : ''} · ${formatCount(perSecond)}/s`
  if (output.format === 'ndjson') output.notice(line)
  else {
    output.result({
      status: gap ? 'fail' : 'pass',
      data: { ...written, refused },
      meta: { store: redactUrl(store.url), elapsedMs: Math.round(elapsedMs), perSecond },
      render: () => line,
    })
  }
  if (gap) return 'partial'
  return signal.aborted ? 'interrupted' : undefined
}
