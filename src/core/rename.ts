import { EvtError } from './errors.ts'
import { compilePatterns, isEventType, patternAlternatives } from './pattern.ts'

/** Types here to types there: `{ 'requests.user.*': 'user.*', 'requests.ping': 'health.ping' }`. */
export type RenameMap = Readonly<Record<string, string>>

/** One to one: no two types of one side are the same type of the other. */
export interface Renames {
  /** What a type of ours is called there: itself when the map does not name it. */
  there(type: string): string
  /** What a type of theirs is called here; undefined for one that is not in the map and whose name another has here. */
  here(type: string): string | undefined
}

/** `text` is the type itself, or what stands before the rest of it. */
interface Side {
  readonly text: string
  readonly isPrefix: boolean
}
type Line = readonly [here: Side, there: Side]

/**
 * Reads a map whose names are types or end in `.*`, on both sides; `*` alone is every type. Throws `config` for another name, and for
 * lines that name one type twice.
 */
export function parseRenames(map: RenameMap = {}): Renames {
  return renamesOf(linesOf(map))
}

/**
 * Throws `config` when types of these patterns are carried under a name that the map gives to others: what reads them there could not
 * tell the two apart.
 */
export function assertApart(map: RenameMap = {}, patterns: readonly string[] = ['*']): void {
  const lines = linesOf(map)
  const wanted = compilePatterns(patterns)
  const isRenamed = (type: string) => lines.some(([here]) => has(here, type))
  const alternatives = patterns.flatMap(patternAlternatives)
  for (const [here, there] of lines) {
    const own = samplesOf(there, alternatives).find((type) => wanted.matches(type) && !isRenamed(type))
    if (own === undefined) continue
    throw new EvtError(
      'config',
      `cannot rename ${shown(here)} to ${shown(there)}: types that have that name here go there too`,
      {
        hint: `set \`patterns\` to the types meant, such as ${Object.keys(map).join(', ')}; or rename ${shown(there)} as well`,
      },
    )
  }
}

function linesOf(map: RenameMap): readonly Line[] {
  const lines = Object.entries(map).map(([from, to]): Line => {
    const line: Line = [sideOf(from), sideOf(to)]
    if (line[0].isPrefix === line[1].isPrefix) return line
    throw new EvtError('config', `cannot rename ${from} to ${to}: one is a single type, the other is many`, {
      hint: "write both as types, or both with .* at the end: 'requests.user.*': 'user.*'",
    })
  })
  for (const [at, line] of lines.entries()) {
    for (const other of lines.slice(0, at)) assertDifferent(line, other)
  }
  return lines
}

function sideOf(text: string): Side {
  if (text === '*') return { text: '', isPrefix: true }
  const isPrefix = text.endsWith('.*')
  const name = isPrefix ? text.slice(0, -2) : text
  if (isEventType(name)) return { text: isPrefix ? `${name}.` : name, isPrefix }
  throw new EvtError('config', `cannot rename '${text}': it is neither a type nor a prefix of types`, {
    hint: "write user.created, or user.* for all types that begin with 'user.'",
  })
}

function assertDifferent(line: Line, other: Line): void {
  for (const side of [0, 1] as const) {
    if (!meet(line[side], other[side])) continue
    const [one, two] = [shown(line[side]), shown(other[side])]
    const both = one === two ? `two lines of the map end in ${one}` : `${two} and ${one} have types in common`
    throw new EvtError('config', `cannot rename ${shown(line[0])} to ${shown(line[1])}: ${both}`, {
      hint: 'each type is named once on either side: name them one by one where they differ',
    })
  }
}

const has = ({ text, isPrefix }: Side, type: string) =>
  isPrefix ? type.startsWith(text) && type.length > text.length : type === text

const meet = (a: Side, b: Side) =>
  a.text === b.text || (a.isPrefix && b.text.startsWith(a.text)) || (b.isPrefix && a.text.startsWith(b.text))

const shown = ({ text, isPrefix }: Side) => (isPrefix ? `${text}*` : text)

/** One that matches, of each way in which a pattern can match types of this side. */
function samplesOf({ text, isPrefix }: Side, alternatives: readonly string[]): readonly string[] {
  if (!isPrefix) return [text]
  return alternatives.flatMap((alternative) => {
    const segments = alternative.split('.').map((segment) => (segment.startsWith('*') ? 'x' : segment))
    return segments.map((_, from) => text + segments.slice(from).join('.'))
  })
}

/** As many answers are remembered as patterns remember. */
const cacheLimit = 4096

function renamesOf(lines: readonly Line[]): Renames {
  const back = lines.map(([here, there]): Line => [there, here])
  const known = new Map<string, string>()
  return {
    there(type) {
      if (lines.length === 0) return type
      const answer = known.get(type) ?? renamed(lines, type) ?? type
      if (known.size >= cacheLimit) known.clear()
      known.set(type, answer)
      return answer
    },
    here: (type) => renamed(back, type) ?? (lines.some(([here]) => has(here, type)) ? undefined : type),
  }
}

function renamed(lines: readonly Line[], type: string): string | undefined {
  const line = lines.find(([from]) => has(from, type))
  return line && line[1].text + type.slice(line[0].text.length)
}
