import { toError } from '../../core/errors.ts'
import type { Output } from '../../output/output.ts'
import type { TailSource } from './source.ts'

export type Facts = Readonly<Record<string, string>>

export interface Proof {
  /** Asks again, prints the comparison on stderr, and is false when something differs that looking can cause. */
  compare(): Promise<boolean>
}

/** Asks every source what a reader could leave behind there; to be called before the first of them is read. */
export async function openProof(sources: readonly TailSource[], output: Output): Promise<Proof> {
  const before = await Promise.all(sources.map(footprintOf))
  return {
    async compare() {
      const after = await Promise.all(sources.map(footprintOf))
      const verdicts = sources.map(({ name }, i) => verdictOf(name, before[i], after[i]))
      for (const { text, isClean } of verdicts) {
        if (isClean) output.notice(text)
        else
          output.warn(text, 'another reader or writer may have done it meanwhile: try again while nobody else is there')
      }
      return verdicts.every(({ isClean }) => isClean)
    },
  }
}

type Found = Facts | Error | undefined

const footprintOf = async (source: TailSource): Promise<Found> => source.footprint?.().catch(toError)

function verdictOf(name: string, before: Found, after: Found): { readonly text: string; readonly isClean: boolean } {
  if (before === undefined || after === undefined)
    return { text: `prove ${name}: unknown, it can be asked for nothing that a reader leaves`, isClean: true }
  const failed = [before, after].find((found) => found instanceof Error)
  if (failed !== undefined) return { text: `prove ${name}: unknown, ${(failed as Error).message}`, isClean: false }
  const { changed, moved } = compareFacts(before as Facts, after as Facts)
  const traffic = moved.length > 0 ? `; moved by others' reading and writing: ${moved.join(', ')}` : ''
  if (changed.length > 0) return { text: `prove ${name}: changed: ${changed.join('; ')}${traffic}`, isClean: false }
  return { text: `prove ${name}: unchanged: ${summary(before as Facts)}${traffic}`, isClean: true }
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
    if (was === undefined) changed.push(`${name} is new: ${is}`)
    else if (is === undefined) changed.push(`${name} is gone: it was ${was}`)
    else (shapeOf(was) === shapeOf(is) ? moved : changed).push(`${name} ${was} → ${is}`)
  }
  return { changed, moved }
}

/** Equal for texts that differ in their numbers alone. */
const shapeOf = (text: string): string => text.replace(/\d+/g, '0')

const shownFacts = 6

function summary(facts: Facts): string {
  const all = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  if (all.length === 0) return 'nothing was there, and nothing is'
  const more = all.length > shownFacts ? `, and ${all.length - shownFacts} more` : ''
  return all.slice(0, shownFacts).join(', ') + more
}
