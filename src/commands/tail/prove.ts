import { toError } from '../../core/errors.ts'
import type { Output } from '../../output/output.ts'
import type { TailSource } from './source.ts'

export type Facts = Readonly<Record<string, string>>

/** `changed`: something differs that looking can cause. `unknown`: some source could not be asked, and no other has changed. */
export type Verdict = 'unchanged' | 'changed' | 'unknown'

export interface Proof {
  /** Asks again and prints the comparison on stderr. */
  compare(): Promise<Verdict>
}

/** Asks every source what a reader could leave behind there; to be called before the first of them is read. */
export async function openProof(sources: readonly TailSource[], output: Output): Promise<Proof> {
  const before = await Promise.all(sources.map(footprintOf))
  return {
    async compare() {
      const after = await Promise.all(sources.map(footprintOf))
      const judged = sources.map(({ name }, i) => judge(before[i], after[i], `prove ${name}`))
      for (const { text, verdict } of judged) {
        if (verdict === 'changed')
          output.warn(text, 'others may have done it meanwhile: try again while nobody else is there')
        else output.notice(text)
      }
      const all = judged.map(({ verdict }) => verdict)
      return all.find((verdict) => verdict === 'changed') ?? all.find((verdict) => verdict === 'unknown') ?? 'unchanged'
    },
  }
}

type Found = Facts | Error | undefined

const footprintOf = async (source: TailSource): Promise<Found> => source.footprint?.().catch(toError)

function judge(before: Found, after: Found, prove: string): { readonly text: string; readonly verdict: Verdict } {
  if (before === undefined || after === undefined)
    return { text: `${prove}: unknown, it can be asked for nothing that a reader leaves`, verdict: 'unknown' }
  if (before instanceof Error || after instanceof Error) {
    const { message } = before instanceof Error ? before : (after as Error)
    return { text: `${prove}: unknown, ${message}`, verdict: 'unknown' }
  }
  const { changed, moved } = compareFacts(before as Facts, after as Facts)
  const traffic = moved.length > 0 ? `; moved by others' reading and writing: ${moved.join(', ')}` : ''
  if (changed.length > 0) return { text: `${prove}: changed: ${changed.join('; ')}${traffic}`, verdict: 'changed' }
  const unasked = Object.entries(before as Facts).filter(([, value]) => value.startsWith(notAsked))
  if (unasked.length > 0)
    return {
      text: `${prove}: unknown: ${unasked.map(([name, value]) => `${name} ${value}`).join('; ')}; the rest is unchanged: ${summary(before as Facts)}${traffic}`,
      verdict: 'unknown',
    }
  return { text: `${prove}: unchanged: ${summary(before as Facts)}${traffic}`, verdict: 'unchanged' }
}

export interface Difference {
  /** What a reader can cause: something that is new, gone, or another. */
  readonly changed: readonly string[]
  /** Numbers of something that was there before and still is: they move wherever others read and write. */
  readonly moved: readonly string[]
}

export function compareFacts(before: Facts, after: Facts): Difference {
  const changed: string[] = []
  const moved: string[] = []
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[name], after[name]]
    if (was === is) continue
    if (isFirst(name, was, is, before)) moved.push(`${name} ${was ?? 'none'} → ${is}`)
    else if (was === undefined) changed.push(`${name} is new: ${is}`)
    else if (is === undefined) changed.push(`${name} is gone: it was ${was}`)
    else (shapeOf(was) === shapeOf(is) ? moved : changed).push(`${name} ${was} → ${is}`)
  }
  return { changed, moved }
}

/**
 * A lane of a known topic that others fill for the first time, and where a group that was there before stands in it: a reader writes
 * nothing, and reads in no group.
 */
function isFirst(name: string, was: string | undefined, is: string | undefined, before: Facts): boolean {
  if (is === undefined) return false
  if (was !== undefined) return was === 'not there' && name.startsWith('stream ')
  const group = /^(group .+) at \S+$/.exec(name)?.[1]
  if (group !== undefined) return before[group] !== undefined
  const [, ours] = /^(evt group .+) of \S+$/.exec(name) ?? []
  return ours !== undefined && Object.keys(before).some((known) => known.startsWith(`${ours} of `))
}

/** Equal for texts that differ in their numbers alone. */
const shapeOf = (text: string): string => text.replace(/\d+/g, '0')

const shownFacts = 6
/** How a footprint says what it could not see. */
const notAsked = 'not asked'

function summary(facts: Facts): string {
  const all = Object.entries(facts).flatMap(([name, value]) => (value.startsWith(notAsked) ? [] : [`${name} ${value}`]))
  if (all.length === 0) return 'nothing was there, and nothing is'
  const more = all.length > shownFacts ? `, and ${all.length - shownFacts} more` : ''
  return all.slice(0, shownFacts).join(', ') + more
}
