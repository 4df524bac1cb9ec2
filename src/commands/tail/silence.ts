import { setTimeout as delay } from 'node:timers/promises'
import { formatAge } from '../../core/duration.ts'
import { isReversed, type Range, renderRange } from '../../core/instant-range.ts'
import { formatCount } from '../../core/quantity.ts'
import { suggestion } from '../../core/suggest.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import type { Filter } from './filter.ts'
import type { Quiet, Seen, TailSource } from './source.ts'

interface Silence {
  readonly sources: readonly TailSource[]
  readonly patterns: readonly string[]
  readonly filter: Filter
  readonly wanted: Wanted | undefined
}

/** Whether an event would be shown; undefined where that cannot be told. */
export type Wanted = (seen: Seen) => boolean

/** Undefined where it takes the whole line to know what --include and --exclude leave. */
export function wantedBy(
  { include, exclude }: Record<'include' | 'exclude', readonly RegExp[]>,
  filter: Filter,
): Wanted | undefined {
  return include.length + exclude.length > 0 ? undefined : (seen) => filter.test(seen) === 'show'
}

/** One line for each source: where tail looks, how far that is, what it filters by, and what would show something. */
export async function explainSilence({ sources, patterns, filter, wanted }: Silence, runtime: Runtime): Promise<void> {
  const { output, now } = runtime
  const asked = await Promise.all(sources.map(async (source) => ({ source, quiet: await factsOf(source) })))
  for (const { source, quiet } of asked) {
    const { facts, lastMs } = quiet
    const age = lastMs === undefined ? undefined : Math.max(0, now() - lastMs)
    const last = age === undefined ? '' : `, last event ${formatAge(age)} ago`
    const show = promise(quiet, { wanted, nowMs: now() })
    output.notice(`nothing yet from ${source.name}: ${facts}${last}; looking for ${filter.text}${show}`)
  }
  const meant = await meantType(patterns, runtime)
  if (meant) output.notice(meant)
}

/** One line for a range in which nothing lies: where that was looked for. */
export async function explainEmptyRange(
  range: Range,
  { sources, wanted, nowMs }: Pick<Silence, 'sources' | 'wanted'> & { readonly nowMs: number },
  { output, now }: Runtime,
): Promise<void> {
  const reversed = isReversed(range, nowMs)
  const { since } = range
  const sinceMs = !reversed && typeof since === 'object' && 'timeMs' in since ? since.timeMs : undefined
  const looked = sources.map(async (source) => {
    const quiet = await factsOf(source)
    const { facts, lastMs } = quiet
    if (lastMs === undefined) return `${source.name}: ${facts}`
    const ageMs = Math.max(0, now() - lastMs)
    const show = sinceMs !== undefined && lastMs < sinceMs ? promise(quiet, { wanted, nowMs: now() }) : ''
    return `${source.name}: ${facts}, last event ${formatAge(ageMs)} ago${show}`
  })
  const why = reversed ? ': --since is after --until; ' : ': '
  output.notice(`nothing lies ${renderRange(range, nowMs)}${why}looked at ${(await Promise.all(looked)).join('; ')}`)
}

/** One that does not answer holds up nobody's answer for long. */
const factsOf = (source: TailSource): Promise<Quiet> =>
  Promise.race([
    source.explain().catch((error: Error) => ({ facts: error.message })),
    delay(answerMs, { facts: 'unknown: it does not answer' }, { ref: false }),
  ])

const answerMs = 5_000

/** Which `--since` shows something; only what was looked at is promised. */
function promise({ recent = [] }: Quiet, { wanted, nowMs }: { wanted: Wanted | undefined; nowMs: number }): string {
  if (!wanted || recent.length === 0) return ''
  const last = recent.findLast(wanted)
  if (!last) return `; none of the last ${formatCount(recent.length)} in the log matches`
  const ageMs = Math.max(0, nowMs - last.recordedMs)
  return `; the last that matches is from ${formatAge(ageMs)} ago: --since ${sinceFor(ageMs + typingMs)} would show it`
}

/** Until it is typed. */
const typingMs = 30_000

/** A round time that reaches back beyond the last event. */
function sinceFor(ageMs: number): string {
  const minutes = Math.ceil(ageMs / 60_000)
  if (minutes <= 60) return `${minutes}m`
  return minutes <= 24 * 60 ? `${Math.ceil(minutes / 60)}h` : `${Math.ceil(minutes / 1440)}d`
}

async function meantType(patterns: readonly string[], runtime: Runtime): Promise<string | undefined> {
  const types = (await loadRegistry(runtime).catch(() => undefined))?.types() ?? []
  for (const pattern of patterns) {
    if (/[*{]/.test(pattern) || types.includes(pattern)) continue
    const meant = suggestion(pattern, types)
    if (meant) return `no contract is called ${pattern}: ${meant}`
  }
  return undefined
}
