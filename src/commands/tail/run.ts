import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import { parseExactly } from '../../core/json-text.ts'
import type { Where } from '../../core/where.ts'
import { type Scan, scanLine } from '../../output/ending.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { StageReader } from '../../store/observe-stages.ts'
import type { Runtime } from '../runtime.ts'
import { createFilter, type Filter } from './filter.ts'
import { isReversed } from './range.ts'
import { readAhead } from './read-ahead.ts'
import { createRender } from './render.ts'
import { createReport, renderFlows } from './report.ts'
import { explainEmptyRange, explainSilence, wantedBy } from './silence.ts'
import { openSource, type Seen, type Span, sourceUrls, type TailSource } from './source.ts'
import { stagesText, withStages } from './stages.ts'

export interface TailOptions {
  readonly patterns: readonly string[]
  readonly source: readonly string[]
  readonly since?: Instant | undefined
  readonly until?: Instant | undefined
  readonly where?: Where | undefined
  readonly include: readonly RegExp[]
  readonly exclude: readonly RegExp[]
  readonly highlight: readonly RegExp[]
  readonly limit?: number | undefined
  readonly follow?: boolean | undefined
  readonly idleTimeout?: number | undefined
  readonly fields?: readonly string[] | undefined
  readonly data: boolean
  readonly wide: boolean
  readonly stages: boolean
  readonly report: boolean
  readonly raw: boolean
}

const silenceMs = 3_000

/** Everything is checked before the first connection; the sources are closed however it ends. */
export async function runTail(options: TailOptions, runtime: Runtime): Promise<Outcome | undefined> {
  const nowMs = runtime.now()
  const follow = !isReversed(options, nowMs) && (options.follow ?? !isPast(options.until, nowMs))
  checkTogether(options, follow, runtime)
  const filter = createFilter({ ...options, nowMs })
  const urls = await sourceUrls(options.source, runtime)
  const sources: TailSource[] = []
  const readers: StageReader[] = []
  try {
    for (const url of urls) sources.push(await openSource(url))
    const stages = options.stages ? await openStages(sources, readers) : new Map()
    const scan = await show({ options, follow, sources, stages, filter }, runtime)
    const isBounded = options.until !== undefined || (options.since !== undefined && !follow)
    if (isBounded && scan.inRange === 0 && !runtime.signal.aborted) {
      const range = { since: options.since ?? (follow ? 'now' : undefined), until: options.until }
      await explainEmptyRange(range, { sources, wanted: wantedBy(options, filter), nowMs }, runtime)
    }
    runtime.output.notice(scanLine(scan))
    return runtime.signal.aborted && !(follow && isEndedByHand(runtime.signal)) ? 'interrupted' : 'done'
  } finally {
    await Promise.all(readers.map((reader) => reader.close()))
    await Promise.all(sources.map((source) => source.close()))
  }
}

/** Ctrl-C is how a person ends what they follow; whoever sends another signal wants to see that it was heard. */
function isEndedByHand({ reason }: AbortSignal): boolean {
  return !(reason instanceof EvtError && (reason.cause === 'SIGTERM' || reason.cause === 'SIGHUP'))
}

function isPast(until: Instant | undefined, nowMs: number): boolean {
  if (until === undefined) return false
  return typeof until === 'string' || ('timeMs' in until ? until.timeMs <= nowMs : false)
}

/** Fills `opened`, which the caller closes, also when it throws. */
async function openStages(
  sources: readonly TailSource[],
  opened: StageReader[],
): Promise<ReadonlyMap<TailSource, StageReader>> {
  const stages = new Map<TailSource, StageReader>()
  for (const source of sources) {
    if (!source.openStages) {
      throw new EvtError('usage', `cannot show the stages of ${source.name}: only a store measures them`, {
        hint: 'leave out --stages, or tail the store itself',
      })
    }
    const reader = await source.openStages()
    opened.push(reader)
    stages.set(source, reader)
  }
  return stages
}

function checkTogether(options: TailOptions, follow: boolean, { output }: Runtime): void {
  if (options.raw && output.isTTY) {
    throw new EvtError('usage', 'cannot use --raw on a terminal: events may hold control sequences', {
      hint: 'send it into a file or a pipe',
    })
  }
  if (options.stages && options.report) {
    throw new EvtError('usage', 'cannot use --stages with --report: a table of types has no single events', {
      hint: 'leave out one of them; `evt dash --once` shows the stages of all events together',
    })
  }
  const endless = follow && options.limit === undefined && options.idleTimeout === undefined
  if (output.format === 'json' && endless) {
    throw new EvtError('usage', 'cannot print a stream without end as one JSON document', {
      hint: 'use -o ndjson, or bound it with --limit or --no-follow',
    })
  }
}

interface Tail {
  readonly options: TailOptions
  readonly follow: boolean
  readonly sources: readonly TailSource[]
  /** Of each source; empty without --stages. */
  readonly stages: ReadonlyMap<TailSource, StageReader>
  readonly filter: Filter
}

/** `inRange`: what `--until` left, whatever the filter did with it. */
async function show(tail: Tail, runtime: Runtime): Promise<Scan & { readonly inRange: number }> {
  const { options, follow, sources, stages } = tail
  const ending = new AbortController()
  const signal = AbortSignal.any([ending.signal, runtime.signal])
  const scan = { scanned: 0, matched: 0, stopped: '' }
  let inRange = 0
  const stop = (why: string) => {
    scan.stopped ||= why
    ending.abort()
  }
  const presenter = options.report ? createTable(runtime) : createLines(tail, runtime)
  const timers = startTimers(tail, runtime, { matched: () => scan.matched, stop })
  const span = { from: options.since ?? (follow ? 'now' : 'start'), follow, signal } as const
  const startedMs = runtime.now()
  const limit = options.limit ?? Number.POSITIVE_INFINITY

  /** From `at` on, as many as may still be shown; `next` is where the rest begins. */
  const sift = (batch: readonly Seen[], at: number) => {
    const wanted: Seen[] = []
    let next = at
    while (next < batch.length && wanted.length < limit - scan.matched) {
      const seen = batch[next++] as Seen
      scan.scanned++
      const verdict = tail.filter.test(seen)
      if (verdict === 'end') return { wanted, next, ended: true }
      inRange++
      if (verdict === 'show') wanted.push(seen)
    }
    return { wanted, next, ended: false }
  }
  // A long way through what was there before is no silence: a match may lie at its end.
  const isHistory = (batch: readonly Seen[]) =>
    span.from !== 'now' && (batch.at(-1)?.recordedMs ?? startedMs) < startedMs
  const pump = async (source: TailSource) => {
    const reader = stages.get(source)
    const announced = announcements(source, runtime, reader)
    for await (const batch of readAhead(source.read({ ...span, ...announced }))) {
      const before = scan.matched
      for (let at = 0; at < batch.length; ) {
        const { wanted, next, ended } = sift(batch, at)
        const shown = reader ? await withStages(reader, wanted, { follow, signal: runtime.signal }) : wanted
        for (const seen of shown) if (scan.matched < limit && presenter.add(seen)) scan.matched++
        if (ended) return stop('--until')
        if (scan.matched >= limit) return stop('--limit')
        at = next
      }
      if (scan.matched > before || isHistory(batch)) timers.seen()
      await presenter.flush()
      if (signal.aborted) return
    }
  }
  try {
    if (isReversed(options, runtime.now())) stop('--until')
    else await Promise.all(sources.map((source) => pump(source).catch(failUnless(signal, stop))))
  } finally {
    timers.end()
  }
  scan.stopped ||= runtime.signal.aborted ? 'interrupted' : 'end'
  await presenter.end(scan)
  return { ...scan, inRange }
}

const announcements = (
  { name, how }: TailSource,
  { output }: Runtime,
  stages: StageReader | undefined,
): Pick<Span, 'onReady' | 'onLost' | 'onBack'> => ({
  onReady: () => output.notice(`tail ${name}: ${how}${stages ? `; ${stagesText(stages)}` : ''}`),
  onLost: (error) => output.warn(`${error.message}; trying again until it is back`),
  onBack: () => output.notice(`tail ${name}: connected again; goes on where it was`),
})

/** One source that fails ends the others: half a picture must not look like the whole one. */
const failUnless = (signal: AbortSignal, stop: (why: string) => void) => (error: unknown) => {
  if (signal.aborted) return
  stop('error')
  throw error
}

interface Presenter {
  /** False when it is not to be shown. */
  add(seen: Seen): boolean
  flush(): void | Promise<void>
  end(scan: Scan): void | Promise<void>
}

function createLines({ options, sources }: Tail, { output }: Runtime): Presenter {
  const format = output.format
  const render = createRender({
    ...options,
    format,
    paint: output.paint,
    fields: options.fields ?? [],
    width: output.isTTY ? output.columns : undefined,
    badge: sources.length > 1,
  })
  let lines: string[] = []
  const write = () => {
    if (lines.length === 0 || format === 'json') return undefined
    const text = `${lines.join('\n')}\n`
    lines = []
    return output.write(text)
  }
  return {
    add(seen) {
      const line = render(seen)
      if (line !== undefined) lines.push(line)
      return line !== undefined
    },
    flush: write,
    async end(scan) {
      await write()
      if (format === 'json')
        output.result({ data: { events: lines.map(parseExactly) }, meta: { ...scan }, render: () => '' })
    },
  }
}

const redrawMs = 1_000

/** On a terminal drawn anew every second; elsewhere once, at the end. */
function createTable({ output }: Runtime): Presenter {
  const report = createReport()
  const live = output.isTTY && output.format === 'text'
  let height = 0
  const draw = () => {
    const text = renderFlows(report.flows(), output)
    void output.write(`${height > 0 ? `\u001b[${height}A\u001b[J` : ''}${text}`)
    height = text.split('\n').length - 1
  }
  const timer = live ? setInterval(draw, redrawMs) : undefined
  return {
    add(seen) {
      report.add(seen)
      return true
    },
    flush: () => undefined,
    end(scan) {
      clearInterval(timer)
      if (live) return draw()
      const flows = report.flows()
      output.result({ data: { flows }, meta: { ...scan }, render: () => renderFlows(flows, output) })
    },
  }
}

interface Watched {
  matched(): number
  stop(why: string): void
}

function startTimers({ options, follow, sources, filter }: Tail, runtime: Runtime, { matched, stop }: Watched) {
  const silence = follow
    ? setTimeout(() => {
        const wanted = wantedBy(options, filter)
        if (matched() === 0) void explainSilence({ sources, patterns: options.patterns, filter, wanted }, runtime)
      }, silenceMs)
    : undefined
  const idleMs = options.idleTimeout
  let idle = idleMs === undefined ? undefined : setTimeout(stop, idleMs, '--idle-timeout')
  const untilMs =
    typeof options.until === 'object' && 'timeMs' in options.until ? options.until.timeMs - runtime.now() : undefined
  const until =
    untilMs !== undefined && untilMs > 0 ? setTimeout(stop, Math.min(untilMs, 2 ** 31 - 1), '--until') : undefined
  return {
    seen() {
      if (idleMs === undefined) return
      clearTimeout(idle)
      idle = setTimeout(stop, idleMs, '--idle-timeout')
    },
    end() {
      for (const timer of [silence, idle, until]) clearTimeout(timer)
    },
  }
}
