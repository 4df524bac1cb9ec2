import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import { isPosition, isReversed } from '../../core/instant-range.ts'
import { redactUrl } from '../../core/mask.ts'
import type { Masker } from '../../core/masker.ts'
import type { Where } from '../../core/where.ts'
import { type Scan, scanLine } from '../../output/ending.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { StageReader } from '../../store/observe-stages.ts'
import { maskerUnless } from '../line/reveal.ts'
import type { Runtime } from '../runtime.ts'
import { checkSeeks, checkTogether } from './check.ts'
import { createFilter, type Filter } from './filter.ts'
import { keepUp } from './keep-up.ts'
import { locatedText } from './located.ts'
import { type Feed, merge } from './merge.ts'
import { createOdd } from './odd.ts'
import { createPresenter } from './present.ts'
import { openProof } from './prove.ts'
import { explainEmptyRange, explainSilence, wantedBy } from './silence.ts'
import { openSources, placesOf, type Seen, type Span, type TailSource } from './source.ts'
import { stagesText, withHops, withStages } from './stages.ts'
import { readUntil } from './until.ts'

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
  readonly explain: boolean
  readonly prove: boolean
  readonly report: boolean
  readonly raw: boolean
  readonly reveal: boolean
}

const provedOutcomes = { unchanged: 'done', changed: 'failed', unknown: 'partial' } as const
const silenceMs = 3_000
/** Of a source that repeats nothing, while the reader of stdout is slower than it. */
const mostHeld = 10_000

/** Everything is checked before the first connection; the sources are closed however it ends. */
export async function runTail(options: TailOptions, runtime: Runtime): Promise<Outcome | undefined> {
  const { output } = runtime
  const nowMs = runtime.now()
  const follow = !isReversed(options, nowMs) && !isPast(options.until, nowMs) && (options.follow ?? true)
  checkTogether(options, follow, output)
  const filter = createFilter({ ...options, nowMs })
  const places = await placesOf(options.source, runtime)
  const shown = options.source.length > 0 ? options.source.map(redactUrl).join(' ') : 'the log'
  const masker = await maskerUnless(options.reveal, `tail ${shown}`, runtime)
  const onProblem = (error: Error, source: string) => output.warn(`tail ${source}: ${error.message}`)
  const sources = await openSources(places, { explain: options.explain, now: runtime.now, onProblem })
  const readers: StageReader[] = []
  try {
    checkSeeks(sources, { ...options, follow, nowMs })
    const proof = options.prove ? await openProof(sources, output) : undefined
    const stages = options.stages ? await openStages(sources, readers) : new Map()
    const scan = await show({ options, follow, sources, stages, filter, masker }, runtime)
    const isBounded = options.until !== undefined || (options.since !== undefined && !follow)
    if (isBounded && scan.inRange === 0 && !runtime.signal.aborted) {
      const range = { since: options.since ?? (follow ? 'now' : undefined), until: options.until }
      await explainEmptyRange(range, { sources, wanted: wantedBy(options, filter), nowMs }, runtime)
    }
    if (scan.odd) output.notice(scan.odd)
    output.notice(scanLine(scan))
    const verdict = await proof?.compare()
    if (runtime.signal.aborted && !(follow && isEndedByHand(runtime.signal))) return 'interrupted'
    return verdict === undefined ? 'done' : provedOutcomes[verdict]
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
    if (!source.openStages) continue
    const reader = await source.openStages()
    opened.push(reader)
    stages.set(source, reader)
  }
  return stages
}

interface Tail {
  readonly options: TailOptions
  readonly follow: boolean
  readonly sources: readonly TailSource[]
  /** Of each store; empty without --stages. */
  readonly stages: ReadonlyMap<TailSource, StageReader>
  readonly filter: Filter
  /** Undefined when everything is shown as it is. */
  readonly masker: Masker | undefined
}

interface Shown extends Scan {
  /** What `--until` left, whatever the filter did with it. */
  readonly inRange: number
  /** What nobody knows the shape of, or cannot be decoded. */
  readonly odd: string | undefined
}

async function show(tail: Tail, runtime: Runtime): Promise<Shown> {
  const { options, follow, sources } = tail
  const ending = new AbortController()
  const signal = AbortSignal.any([ending.signal, runtime.signal])
  const scan = { scanned: 0, matched: 0, stopped: '' }
  const odd = createOdd()
  let inRange = 0
  let isCut = false
  const byPosition = options.until !== undefined && isPosition(options.until)
  const stop = (why: string) => {
    scan.stopped ||= why
    ending.abort()
  }
  const presenter = createPresenter({ ...options, masker: tail.masker }, sources, runtime)
  const timers = startTimers(tail, runtime, { matched: () => scan.matched, stop })
  const span = { from: options.since ?? (follow ? 'now' : 'start'), follow, signal } as const
  const startedMs = runtime.now()
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  const open = openFeeds(tail, span, runtime)

  /** From `at` on, as many as may still be shown; `next` is where the rest begins. */
  const sift = ({ isInOrder }: TailSource, batch: readonly Seen[], at: number) => {
    const wanted: Seen[] = []
    let next = at
    while (next < batch.length && wanted.length < limit - scan.matched) {
      const seen = batch[next++] as Seen
      scan.scanned++
      const verdict = tail.filter.test(seen)
      if (verdict === 'later') {
        isCut = true
        if (isInOrder || byPosition) return { wanted, next, ended: true }
        continue
      }
      inRange++
      odd.count(seen, verdict === 'show' ? 'shown' : 'left-out')
      if (verdict === 'show') wanted.push(seen)
    }
    return { wanted, next, ended: false }
  }
  // A long way through what was there before is no silence: a match may lie at its end.
  const isHistory = (batch: readonly Seen[]) =>
    span.from !== 'now' && (batch.at(-1)?.recordedMs ?? startedMs) < startedMs
  /** True when this source has ended. */
  const showAll = async (source: TailSource, batch: readonly Seen[]) => {
    for (let at = 0; at < batch.length; ) {
      const { wanted, next, ended } = sift(source, batch, at)
      for (const seen of await staged(tail, source, wanted, runtime.signal))
        if (scan.matched < limit && presenter.add(seen)) scan.matched++
      if (ended) return true
      if (scan.matched >= limit) {
        stop('--limit')
        return true
      }
      at = next
    }
    return false
  }
  try {
    if (isReversed(options, runtime.now())) stop('--until')
    const hasHistory = span.from !== 'now'
    for await (const piece of merge(open.feeds, { follow, hasHistory, startedMs, ending, signal })) {
      const before = scan.matched
      if (await showAll(piece.source, piece.events)) piece.drop()
      if (scan.matched > before || isHistory(piece.events)) timers.seen()
      await presenter.flush()
      if (signal.aborted) break
    }
  } catch (error) {
    // One source that fails ends the others: half a picture must not look like the whole one.
    if (!runtime.signal.aborted && !scan.stopped) throw error
  } finally {
    timers.end()
  }
  scan.stopped ||= runtime.signal.aborted ? 'interrupted' : isCut || open.isOver() ? '--until' : 'end'
  const notShown = open.dropped()
  const shown = { ...scan, ...(notShown > 0 ? { notShown } : {}) }
  await presenter.end({ ...shown, ...odd.total() })
  return { ...shown, inRange, odd: odd.text() }
}

function openFeeds(
  { sources, stages, options }: Tail,
  span: Pick<Span, 'from' | 'follow' | 'signal'>,
  runtime: Runtime,
) {
  const { now } = runtime
  const startedMs = now()
  const untilMs = span.follow ? untilOf(options, startedMs) : undefined
  const held: (() => number)[] = []
  const feeds = sources.map((source): Feed => {
    const text = options.stages ? textOfStages(stages.get(source)) : ''
    const whole = { ...span, ...announcements(source, runtime, text) }
    const ending = { startedMs, now, warn: (message: string) => runtime.output.warn(message) }
    const batches = untilMs === undefined ? source.read(whole) : readUntil(source, whole, { untilMs, ...ending })
    if (!source.isLive) return { source, batches }
    const kept = keepUp(batches, mostHeld)
    held.push(kept.dropped)
    return { source, batches: kept.batches }
  })
  const isOver = () => untilMs !== undefined && now() >= untilMs
  return { feeds, isOver, dropped: () => held.reduce((sum, dropped) => sum + dropped(), 0) }
}

/** When it is still to come. */
function untilOf({ until }: TailOptions, nowMs: number): number | undefined {
  return typeof until === 'object' && 'timeMs' in until && until.timeMs > nowMs ? until.timeMs : undefined
}

const textOfStages = (reader: StageReader | undefined): string =>
  `; ${reader ? stagesText(reader) : 'stages: what the headers of relayed events say; handlers are not known there'}`

async function staged(
  { options, follow, stages }: Tail,
  source: TailSource,
  wanted: readonly Seen[],
  signal: AbortSignal,
): Promise<readonly Seen[]> {
  if (!options.stages) return wanted
  const reader = stages.get(source)
  return reader ? withStages(reader, wanted, { follow, signal }) : wanted.map(withHops)
}

const announcements = (
  { name, how, isLive }: TailSource,
  { output }: Runtime,
  stages: string,
): Pick<Span, 'onReady' | 'onLost' | 'onBack'> => ({
  onReady: () => output.notice(`tail ${name}: ${how}${stages}`),
  onLost: (error) => output.warn(`${locatedText(error, name)}; trying again until it is back`),
  onBack: () =>
    output.notice(
      `tail ${name}: connected again; ${isLive ? 'what came meanwhile is not shown' : 'goes on where it was'}`,
    ),
})

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
  return {
    seen() {
      if (idleMs === undefined) return
      clearTimeout(idle)
      idle = setTimeout(stop, idleMs, '--idle-timeout')
    },
    end() {
      for (const timer of [silence, idle]) clearTimeout(timer)
    },
  }
}
