/**
 * The candidates that a person may have meant by `word`, nearest first, at most three: a few typing errors apart
 * (insert, delete, replace, swap of neighbours), or, when none is, the same dotted words with a part left out.
 * Deterministic; ties go to the earlier candidate.
 */
export function suggest(word: string, candidates: readonly string[]): readonly string[] {
  const wanted = word.toLowerCase()
  const near = candidates
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= tolerance(wanted, candidate))
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate)
  return (near.length > 0 ? near : similarParts(wanted, candidates)).slice(0, 3)
}

/** The one candidate most likely meant, or undefined when none is near. */
export const closest = (word: string, candidates: readonly string[]): string | undefined => suggest(word, candidates)[0]

/** A hint, `did you mean x?`, or undefined when none is near. */
export function suggestion(word: string, candidates: readonly string[]): string | undefined {
  const near = closest(word, candidates)
  return near === undefined ? undefined : `did you mean ${near}?`
}

const tolerance = (word: string, candidate: string): number =>
  Math.max(1, Math.floor(Math.min(word.length, candidate.length) / 3))

/** `data.plan` means `data.user_data.plan`: the same last part, and every other part found somewhere on the way. */
function similarParts(wanted: string, candidates: readonly string[]): readonly string[] {
  const parts = wanted.split('.')
  const last = parts.at(-1) ?? ''
  if (last.length < 2) return []
  const fitting = candidates.filter((candidate) => {
    const there = candidate.toLowerCase().split('.')
    return there.at(-1) === last && parts.every((part) => there.some((one) => one.startsWith(part)))
  })
  return fitting.sort((a, b) => a.length - b.length)
}

/** Damerau-Levenshtein (optimal string alignment) over three rows. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(at(above, j) + 1, at(row, j - 1) + 1, at(above, j - 1) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, at(before, j - 2) + 1)
      row.push(cost)
    }
    before = above
    above = row
  }
  return at(above, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? 0
