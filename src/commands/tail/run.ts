import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import type { Where } from '../../core/where.ts'
import { type Scan, scanLine } from '../../output/ending.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { Runtime } from '../runtime.ts'
import { createFilter, type Filter } from './filter.ts'
import { readAhead } from './read-ahead.ts'
import { createRender } from './render.ts'
import { createReport, renderFlows } from './report.ts'
import { explainSilence } from './silence.ts'
import { openSource, type Seen, type Span, sourceUrls, type TailSource } from './source.ts'

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
  readonly report: boolean
  readonly raw: boolean
}

const silenceMs = 3_000

/** Everything is checked before the first connection; the sources are closed however it ends. */
export async function runTail(options: TailOptions, runtime: Runtime): Promise<Outcome | undefined> {
  const follow = options.follow ?? !isPast(options.until, runtime.now())
  checkTogether(options, follow, runtime)
  const filter = createFilter({ ...options, nowMs: runtime.now() })
  const urls = await sourceUrls(options.source, runtime)
  const sources: TailSource[] = []
  try {
    for (const url of urls) sources.push(await openSource(url))
    const scan = await show({ options, follow, sources, filter }, runtime)
    runtime.output.notice(scanLine(scan))
    return follow || !runtime.signal.aborted ? 'done' : 'interrupted'
  } finally {
    await Promise.all(sources.map((source) => source.close()))
  }
}

function isPast(until: Instant | undefined, nowMs: number): boolean {
  if (until === undefined) return false
  return typeof until === 'string' || ('timeMs' in until ? until.timeMs <= nowMs : false)
}

function checkTogether(options: TailOptions, follow: boolean, { output }: Runtime): void {
  if (options.raw && output.isTTY) {
    throw new EvtError('usage', 'cannot use --raw on a terminal: events may hold control sequences', {
      hint: 'send it into a file or a pipe',
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
  readonly filter: Filter
}

async function show(tail: Tail, runtime: Runtime): Promise<Scan> {
  const { options, follow, sources } = tail
  const ending = new AbortController()
  const signal = AbortSignal.any([ending.signal, runtime.signal])
  const scan = { scanned: 0, matched: 0, stopped: '' }
  const stop = (why: string) => {
    scan.stopped ||= why
    ending.abort()
  }
  const presenter = options.report ? createTable(runtime) : createLines(tail, runtime)
  const timers = startTimers(tail, runtime, { matched: () => scan.matched, stop })
  const span = { from: options.since ?? (follow ? 'now' : 'start'), follow, signal } as const
  const limit = options.limit ?? Number.POSITIVE_INFINITY

  const pump = async (source: TailSource) => {
    for await (const batch of readAhead(source.read({ ...span, ...announcements(source, runtime) }))) {
      for (const seen of batch) {
        if (scan.matched >= limit) return stop('--limit')
        scan.scanned++
        const verdict = tail.filter.test(seen)
        if (verdict === 'end') return stop('--until')
        if (verdict === 'skip' || !presenter.add(seen)) continue
        scan.matched++
      }
      timers.seen()
      if (scan.matched >= limit) return stop('--limit')
      await presenter.flush()
      if (signal.aborted) return
    }
  }
  try {
    await Promise.all(sources.map((source) => pump(source).catch(failUnless(signal, stop))))
  } finally {
    timers.end()
  }
  scan.stopped ||= runtime.signal.aborted ? 'interrupted' : 'end'
  await presenter.end(scan)
  return scan
}

const announcements = (
  { name, how }: TailSource,
  { output }: Runtime,
): Pick<Span, 'onReady' | 'onLost' | 'onBack'> => ({
  onReady: () => output.notice(`tail ${name}: ${how}`),
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
        output.result({ data: { events: lines.map((line) => JSON.parse(line)) }, meta: { ...scan }, render: () => '' })
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
        if (matched() === 0) void explainSilence({ sources, patterns: options.patterns, filter }, runtime)
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
