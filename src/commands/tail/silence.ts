import { formatAge } from '../../core/duration.ts'
import { suggestion } from '../../core/suggest.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import type { Filter } from './filter.ts'
import { isReversed, type Range, renderRange } from './range.ts'
import type { Quiet, TailSource } from './source.ts'

interface Silence {
  readonly sources: readonly TailSource[]
  readonly patterns: readonly string[]
  readonly filter: Filter
}

/** One line for each source: where tail looks, how far that is, what it filters by, and what would show something. */
export async function explainSilence({ sources, patterns, filter }: Silence, runtime: Runtime): Promise<void> {
  const { output, now } = runtime
  for (const source of sources) {
    const { facts, lastMs } = await factsOf(source)
    const age = lastMs === undefined ? undefined : Math.max(0, now() - lastMs)
    const last = age === undefined ? '' : `, last event ${formatAge(age)} ago`
    const show = age === undefined ? '' : `; --since ${sinceFor(age)} would show it`
    output.notice(`nothing yet from ${source.name}: ${facts}${last}; looking for ${filter.text}${show}`)
  }
  const meant = await meantType(patterns, runtime)
  if (meant) output.notice(meant)
}

/** One line for a range in which nothing lies: where that was looked for. */
export async function explainEmptyRange(
  range: Range,
  { sources, nowMs }: { readonly sources: readonly TailSource[]; readonly nowMs: number },
  { output, now }: Runtime,
): Promise<void> {
  const reversed = isReversed(range, nowMs)
  const { since } = range
  const sinceMs = !reversed && typeof since === 'object' && 'timeMs' in since ? since.timeMs : undefined
  const looked = sources.map(async (source) => {
    const { facts, lastMs } = await factsOf(source)
    if (lastMs === undefined) return `${source.name}: ${facts}`
    const ageMs = Math.max(0, now() - lastMs)
    const show = sinceMs !== undefined && lastMs < sinceMs ? `; --since ${sinceFor(ageMs)} would show it` : ''
    return `${source.name}: ${facts}, last event ${formatAge(ageMs)} ago${show}`
  })
  const why = reversed ? ': --since is after --until; ' : ': '
  output.notice(`nothing lies ${renderRange(range, nowMs)}${why}looked at ${(await Promise.all(looked)).join('; ')}`)
}

const factsOf = (source: TailSource): Promise<Quiet> =>
  source.explain().catch((error: Error) => ({ facts: error.message }))

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
