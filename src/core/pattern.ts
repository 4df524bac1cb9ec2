import { complaint } from './caret.ts'
import { EvtError } from './errors.ts'

/**
 * A set of event types. Segments are separated by dots; `*` is one or more segments at either end and exactly one in
 * the middle, `**` any number (also none) anywhere, `{a,b}` each of a list, and `*` alone is everything.
 */
export interface Pattern {
  readonly text: string
  /** Every type that can match, when the pattern has no `*`: what a broker can filter by itself. */
  readonly types: readonly string[] | undefined
  matches(type: string): boolean
}

/** `any` is one segment, `rest` any number of them. */
const any = Symbol('one segment')
const rest = Symbol('any number of segments')
type Part = string | typeof any | typeof rest

/** Throws EvtError('usage') that points at the character. */
export function compilePattern(text: string): Pattern {
  return patternOf(text, alternativesOf(text))
}

/** Matches what any of them matches: nothing, for an empty list. */
export function compilePatterns(texts: readonly string[]): Pattern {
  return patternOf(texts.join(' '), texts.flatMap(alternativesOf))
}

/** The pattern without braces, as the list that they stand for. Throws as `compilePattern`. */
export const patternAlternatives = (text: string): readonly string[] => alternativesOf(text)

/**
 * The same set as a regular expression, for who filters elsewhere: matched against the type with a dot behind it. Only what
 * PostgreSQL and JavaScript read alike. Throws as `compilePattern`.
 */
export function patternExpression(text: string): string {
  const segment = String.raw`[^.]+\.`
  const written = (part: Part) => {
    if (part === any) return segment
    return part === rest ? `(?:${segment})*` : String.raw`${part.replace(/[$^+]/g, String.raw`\$&`)}\.`
  }
  const alternatives = alternativesOf(text).map((alternative) => partsOf(alternative).map(written).join(''))
  return `^(?:${alternatives.join('|')})$`
}

/**
 * The error for a command line on which the shell has turned `user.*` into file names, showing the quotes that were
 * missing; undefined when nothing among the arguments looks like a file.
 *
 * @param command what to repeat in the hint: `evt tail`
 * @param isFile for who can look at the disk
 */
export function explainExpandedGlob(
  args: readonly string[],
  command: string,
  isFile: (arg: string) => boolean = looksLikeFile,
): EvtError | undefined {
  const file = args.find(isFile)
  if (file === undefined) return undefined
  const count = args.length === 1 ? '' : `, one of ${args.length}`
  return new EvtError('usage', `cannot use '${file}' as an event type: it is a file name${count}`, {
    hint: `the shell expands an unquoted *; write ${command} '${likelyPattern(args)}'`,
  })
}

/** Remembered answers per pattern; a type is one of a few hundred names, unless somebody invents them. */
const cacheLimit = 4096
const expansionLimit = 1000
const lengthLimit = 1000

function patternOf(text: string, alternatives: readonly string[]): Pattern {
  const literal = alternatives.every((alternative) => !alternative.includes('*'))
  const compiled = alternatives.map(partsOf)
  const known = new Map<string, boolean>()
  const decide = (type: string) => {
    const segments = type.split('.')
    const matched = compiled.some((parts) => matchesParts(parts, segments))
    if (known.size >= cacheLimit) known.clear()
    known.set(type, matched)
    return matched
  }
  return {
    text,
    types: literal ? [...new Set(alternatives)] : undefined,
    matches: (type) => known.get(type) ?? decide(type),
  }
}

function partsOf(alternative: string): readonly Part[] {
  const segments = alternative.split('.')
  if (alternative === '*') return [rest]
  return segments.flatMap((segment, i): Part[] => {
    if (segment === '**') return [rest]
    if (segment !== '*') return [segment]
    return i === 0 || i === segments.length - 1 ? [any, rest] : [any]
  })
}

/** The classic wildcard walk: only the last `rest` is ever tried again, so the time is bounded by the product. */
function matchesParts(parts: readonly Part[], segments: readonly string[]): boolean {
  let part = 0
  let retryPart = -1
  let retryFrom = 0
  let segment = 0
  while (segment < segments.length) {
    const expected = parts[part]
    if (expected === rest) {
      retryPart = part++
      retryFrom = segment
    } else if (expected !== undefined && (expected === any || expected === segments[segment])) {
      part++
      segment++
    } else if (retryPart >= 0) {
      part = retryPart + 1
      segment = ++retryFrom
    } else {
      return false
    }
  }
  while (parts[part] === rest) part++
  return part === parts.length
}

/** The pattern without braces, as the list that they stand for. */
function alternativesOf(text: string): readonly string[] {
  const fail = (at: number, reason: string, hint?: string) =>
    complaint({ what: 'pattern', text, at, reason, ...(hint === undefined ? {} : { hint }) })
  if (text === '') throw fail(0, 'it is empty', "'*' matches every type")
  if (text.length > lengthLimit) throw fail(lengthLimit, `it is longer than ${lengthLimit} characters`)
  checkCharacters(text, fail)
  const alternatives = expand(text, fail)
  for (const segment of alternatives.flatMap((alternative) => alternative.split('.'))) {
    if (segment === '') throw fail(emptySegmentAt(text), 'a segment is empty')
    // `{a}*` and `x{*,y}`: only the expansion shows it.
    if (/[^*]\*|\*[^*]/.test(segment)) throw fail(text.indexOf('*'), ...wholeSegments)
  }
  return alternatives
}

const wholeSegments = ['* stands for whole segments', "'user.*' matches user.created; there is no 'user.cre*'"] as const

type Fail = (at: number, reason: string, hint?: string) => EvtError

/** What stands in no event type; a pattern has besides these `*`, `{`, `}` and `,`, which are its own. */
const foreign = String.raw`\s\p{Cc}\p{Cs}?!\[\]()|\\"'\x60;<>`
const foreignCharacter = new RegExp(`[${foreign}]`, 'u')
const typeName = new RegExp(`^(?=[^]{1,255}$)[^${foreign}*{},.]+(?:\\.[^${foreign}*{},.]+)*$`, 'u')

/**
 * Segments joined by dots that a pattern can name, 1 to 255 characters in all. A type of any other form could be
 * published and never selected: the store refuses it by the same rule (010.do.types.sql).
 */
export const isEventType = (type: string): boolean => typeName.test(type)

function checkCharacters(text: string, fail: Fail): void {
  const odd = foreignCharacter.exec(text)
  if (odd)
    throw fail(odd.index, 'this character stands in no event type', "for example 'user.*' or 'user.{created,deleted}'")
  // A star is a whole segment: its neighbours are dots, braces, commas or the ends.
  for (const star of text.matchAll(/\*+/g)) {
    const before = text[star.index - 1] ?? '.'
    const after = text[star.index + star[0].length] ?? '.'
    if (star[0].length > 2) throw fail(star.index + 2, 'expected * or **')
    if (!'.{,}'.includes(before) || !'.{,}'.includes(after)) {
      throw fail(star.index, ...wholeSegments)
    }
  }
}

function expand(text: string, fail: Fail): readonly string[] {
  let at = 0
  /** A run of characters and lists, up to `,` or `}` when inside braces. */
  const sequence = (depth: number): string[] => {
    let built = ['']
    while (at < text.length) {
      const char = text[at] ?? ''
      if (depth > 0 && (char === ',' || char === '}')) break
      if (char === '}' || char === ',') throw fail(at, `'${char}' without '{'`)
      const next = char === '{' ? list(depth + 1) : [text[at++] ?? '']
      if (built.length * next.length > expansionLimit)
        throw fail(at - 1, `it stands for more than ${expansionLimit} patterns`)
      built =
        next.length === 1
          ? built.map((head) => head + next[0])
          : built.flatMap((head) => next.map((tail) => head + tail))
    }
    return built
  }
  const list = (depth: number): string[] => {
    const opened = at
    const items: string[] = []
    do {
      at++
      const item = sequence(depth)
      if (item.includes('')) throw fail(Math.min(at, text.length), 'a name is missing in the list')
      items.push(...item)
    } while (text[at] === ',')
    if (text[at] !== '}') throw fail(opened, "'{' is not closed")
    at++
    return items
  }
  return sequence(0)
}

/** Where the first empty segment shows in the text as written. */
function emptySegmentAt(text: string): number {
  const found = /(?<![^.{,])\.|\.(?=[},]|$)/.exec(text)
  return found?.index ?? 0
}

const extensions =
  /\.(?:c?js|mjs|jsx|tsx?|json5?|ndjson|ya?ml|toml|lock|md|txt|log|csv|sql|sh|py|rs|go|java|html?|css|svg|png|pdf|zip|gz|tar|xml|env)$/i

function looksLikeFile(arg: string): boolean {
  return arg.includes('/') || extensions.test(arg) || /^(?:Makefile|Dockerfile|LICENSE|README)$/.test(arg)
}

/** What was probably typed: the start that all arguments share, `*`, the end that they share. */
function likelyPattern(args: readonly string[]): string {
  const firstSegments = new Set(args.map((arg) => arg.split('.')[0]))
  const [only] = firstSegments
  return firstSegments.size === 1 && only !== undefined && /^[\w-]+$/.test(only) && args[0]?.includes('.')
    ? `${only}.*`
    : '*'
}
