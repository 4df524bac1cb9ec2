import type { Histogram } from '../../core/histogram.ts'
import { typeText, visible } from '../../core/visible.ts'
import { whyStopped } from '../../watch/why-stopped.ts'
import type { Model, TailLine } from '../state/model.ts'
import { backlogRows, deadRows, type HandlerRow, handlerRows } from '../state/rows.ts'
import { age, blank, clip, type Line, left, milliseconds, perSecond, short, span, sparkline } from './text.ts'

const field = (name: string, value: string): Line => [span(`  ${left(name, 16)}`, 'dim'), span(value)]

/** Everything that is known about the selected row. */
export function detailLines(model: Model, columns: number): readonly Line[] {
  const { opened } = model
  if (!opened) return []
  if ('line' in opened) return tailDetail(opened.line, columns)
  const lines =
    model.focus === 'handlers'
      ? handlerDetail(model, opened.key, columns)
      : model.focus === 'backlog'
        ? backlogDetail(model, opened.key)
        : deadDetail(model, opened.key, columns)
  return lines.length > 0 ? lines : [[span(`${opened.key} is no longer there`, 'warn')]]
}

function handlerDetail(model: Model, handler: string, columns: number): readonly Line[] {
  const row = handlerRows(model).find((one) => one.handler === handler)
  if (!row) return []
  const where =
    model.snapshots.at(-1)?.instances.filter((one) => one.handlers.some((known) => known.handler === row.handler)) ?? []
  return [
    [span(row.handler, 'title')],
    field('state', clip(visible(stateText(row, model)), columns - 18)),
    field('bridges', where.map((one) => `${one.instance}${one.alive ? '' : ' (gone)'}`).join(', ')),
    field(
      'handled',
      `${perSecond(row.perSecond)}/s   failed ${short(row.failed)}   dead ${short(row.dead)}   skipped ${short(row.skipped)}`,
    ),
    field('now', `${row.inFlight} in flight   ${row.queued} queued`),
    field(
      'lag',
      `${short(row.backlog?.lagEvents ?? 0)} events   oldest ${age(row.backlog?.oldestAgeMs)}   retrying ${short(row.backlog?.retrying ?? 0)}`,
    ),
    field('end to end ms', percentiles(row.endToEnd)),
    field('run time ms', percentiles(row.runTime)),
    field('handled/s', sparkline(row.recent, Math.min(60, columns - 20))),
    ...(row.lastError === undefined ? [] : [field('last error', clip(visible(row.lastError), columns - 18))]),
    blank,
    [span('  How long run times are', 'title')],
    ...distribution(row.runTime, columns),
  ]
}

const stateWords = { paused: 'paused', broken: 'broken', unhealthy: 'waits', nobody: 'run by nobody' } as const

/** By the clock of the snapshot: what is drawn depends on the model alone. */
function stateText({ stopped, health }: HandlerRow, model: Model): string {
  if (!stopped) return health
  const why = whyStopped(stopped, Date.parse(model.snapshots.at(-1)?.takenAt ?? ''))
  return why ? `${stateWords[stopped.state]}: ${why}` : stateWords[stopped.state]
}

function percentiles(histogram: Histogram): string {
  const at = (q: number) => milliseconds(histogram.percentile(q))
  return `p50 ${at(0.5)}   p95 ${at(0.95)}   p99 ${at(0.99)}   max ${milliseconds(histogram.max)}   n ${short(histogram.count)}`
}

/** One bar for each doubling of time. */
function distribution(histogram: Histogram, columns: number): readonly Line[] {
  const octaves = new Map<number, number>()
  for (const bucket of histogram.buckets()) {
    const octave = Math.floor(Math.log2(Math.max(1, bucket.from)))
    octaves.set(octave, (octaves.get(octave) ?? 0) + bucket.count)
  }
  const top = Math.max(...octaves.values(), 1)
  return [...octaves].map(
    ([octave, count]): Line => [
      span(`  < ${milliseconds(2 ** (octave + 1)).padStart(6)} ms `, 'dim'),
      span('█'.repeat(Math.max(1, Math.round((count / top) * Math.max(1, columns - 30)))), 'accent'),
      span(` ${short(count)}`, 'dim'),
    ],
  )
}

function backlogDetail(model: Model, handler: string): readonly Line[] {
  const row = backlogRows(model).find((one) => one.handler === handler)
  if (!row) return []
  return [
    [span(row.handler, 'title')],
    field('lag', `${short(row.lagEvents)} events`),
    field('oldest', age(row.oldestAgeMs)),
    field('retrying', short(row.retrying)),
    field('parked', `${short(row.parkedSubjects)} subjects wait for a failing event`),
  ]
}

function deadDetail(model: Model, cause: string, columns: number): readonly Line[] {
  const row = deadRows(model).find((one) => one.cause === cause)
  if (!row) return []
  return [
    [span(`${short(row.count)} dead letters of ${row.handler}`, 'title')],
    field('cause', row.cause),
    field('type', visible(typeText(row.type))),
    field('error', clip(visible(row.error), columns - 18)),
    field('first', row.firstAt),
    field('last', row.lastAt),
    field('sample', row.sampleId),
    blank,
    [span('  See one   ', 'dim'), span(`evt dlq show ${row.sampleId}`, 'accent')],
    [span('  Replay    ', 'dim'), span(`evt dlq replay --cause ${row.cause}`, 'accent')],
  ]
}

function tailDetail(row: TailLine, columns: number): readonly Line[] {
  return [
    [span(visible(typeText(row.type)), 'title')],
    field('id', visible(row.id)),
    field('subject', visible(row.subject)),
    field('stored', new Date(row.timeMs).toISOString()),
    field('position', row.position || 'none yet when it was seen'),
    blank,
    ...pretty(row.data).map((line): Line => [span(clip(`  ${visible(line)}`, columns))]),
  ]
}

function pretty(json: string): readonly string[] {
  try {
    return JSON.stringify(JSON.parse(json), undefined, 2).split('\n')
  } catch {
    return [json]
  }
}
