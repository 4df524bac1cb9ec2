import { encodeAs } from '../../core/codec/encode-as.ts'
import { type DialectName, formatCloudEvent } from '../../core/codec.ts'
import { formatDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { parseExactly } from '../../core/json-text.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createProgress } from '../../output/progress.ts'
import type { Runtime } from '../runtime.ts'
import { inTime } from './pace.ts'
import { explainSilence } from './silence.ts'
import type { EventSource, SourceEvent } from './source.ts'

const mostInOneDocument = 10_000

/** `--dry-run`: the events as NDJSON on stdout, in the shape of the dialect; with --json one document. */
export async function printTo(
  runtime: Runtime,
  source: EventSource,
  dialect?: DialectName,
): Promise<Outcome | undefined> {
  const { output, signal, now } = runtime
  const inDocument: string[] | undefined = output.format === 'json' ? [] : undefined
  if (inDocument && !((source.total ?? source.atMost ?? Number.POSITIVE_INFINITY) <= mostInOneDocument)) {
    throw new EvtError('usage', 'cannot print them as one document: there are too many', { hint: 'use -o ndjson' })
  }
  const progress = createProgress({
    stderr: runtime.terminal.stderr,
    verb: 'made',
    now,
    ...(source.total ? { total: source.total } : {}),
  })
  const startedMs = performance.now()
  let made = 0
  const { tally, end } = explainSilence(source, output)
  for await (const events of inTime(source, { max: 1_000, signal, tally })) {
    made += events.length
    if (output.format !== 'none') {
      const lines = events.map((event) => lineOf(event, dialect))
      if (inDocument) inDocument.push(...lines)
      else if (lines.length > 0) await output.write(`${lines.join('\n')}\n`)
    }
    progress.update(made)
  }
  progress.end()
  if (!signal.aborted) end()
  const elapsedMs = performance.now() - startedMs
  const perSecond = Math.round((made * 1000) / Math.max(1, elapsedMs))
  const ending = `made ${formatCount(made)} in ${formatDuration(Math.round(elapsedMs))} · ${formatCount(perSecond)}/s · published none`
  if (inDocument) {
    const data = { dryRun: true, made, events: inDocument.map(parseExactly) }
    output.result({ data, meta: { elapsedMs: Math.round(elapsedMs), perSecond }, render: () => '' })
  }
  output.notice(ending)
  const { passedOver = 0 } = source.stage?.expected ?? {}
  if (passedOver > 0)
    output.notice(
      `${formatCount(passedOver)} expected ${passedOver === 1 ? 'event was' : 'events were'} not waited for: nothing was published`,
    )
  return undefined
}

/** The bytes that would be sent, but for binary mode: most of that is headers. */
function lineOf(event: SourceEvent, dialect: DialectName | undefined): string {
  if (dialect === undefined || dialect === 'cloudevents') return formatCloudEvent(event, event)
  return Buffer.from(encodeAs(dialect, event).body).toString()
}
