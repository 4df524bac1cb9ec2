import type { EvtError } from '../errors.ts'
import { type CharTest, charTest } from './regex-char.ts'

export type Fail = (offset: number, reason: string) => EvtError

/** Code points on both sides of a position; -1 outside the text. */
type Assertion = (before: number, after: number) => boolean

export type Instruction =
  | { readonly kind: 'char'; readonly accepts: CharTest }
  | { readonly kind: 'split'; readonly to: readonly number[] }
  | { readonly kind: 'assert'; readonly holds: Assertion }

/** Runs from 0; past the end is a match. */
export type Program = readonly Instruction[]

/** With `offset` into the source. */
export class RegexSyntax extends Error {
  readonly offset: number
  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** `x{500}{500}` would be a quarter of a million states. */
const stateLimit = 1000
const depthLimit = 50

/** Targets of splits are relative to the split itself, so that pieces can be put together and repeated. */
type Piece = readonly Instruction[]

const isWord = charTest('\\w', false)
const atWordEdge: Assertion = (before, after) => (before >= 0 && isWord(before)) !== (after >= 0 && isWord(after))
const assertions: Readonly<Record<string, Assertion>> = {
  '^': (before) => before < 0,
  $: (_, after) => after < 0,
  '\\b': atWordEdge,
  '\\B': (before, after) => !atWordEdge(before, after),
}

/** Throws RegexSyntax. */
export function programOf(source: string): Program {
  const ignoreCase = source.startsWith('(?i)')
  const reader = createReader(source, ignoreCase ? 4 : 0, ignoreCase)
  const piece = reader.alternatives(0)
  if (reader.at() < source.length) throw new RegexSyntax(reader.at(), 'this ) closes nothing')
  return piece.map((instruction, i) =>
    instruction.kind === 'split' ? { kind: 'split', to: instruction.to.map((target) => i + target) } : instruction,
  )
}

function createReader(source: string, start: number, ignoreCase: boolean) {
  let at = start
  const fail = (reason: string, offset = at) => new RegexSyntax(offset, reason)
  const bounded = (piece: Piece): Piece => {
    if (piece.length > stateLimit)
      throw fail('the repeats make the regular expression too large', Math.min(at, source.length))
    return piece
  }

  const alternatives = (depth: number): Piece => {
    if (depth > depthLimit) throw fail(`groups more than ${depthLimit} deep`)
    let piece = sequence(depth)
    while (source[at] === '|') {
      at++
      piece = bounded(either(piece, sequence(depth)))
    }
    return piece
  }

  const sequence = (depth: number): Piece => {
    const pieces: Piece[] = []
    while (at < source.length && source[at] !== '|' && source[at] !== ')') pieces.push(repeated(atom(depth)))
    return bounded(pieces.flat())
  }

  const atom = (depth: number): Piece => {
    const from = at
    const char = source[at] ?? ''
    if (char === '(') return group(depth)
    if ('*+?'.includes(char)) throw fail(`${char} repeats nothing`)
    at += atomLength(source, at)
    const text = source.slice(from, at)
    const holds = Object.hasOwn(assertions, text) ? assertions[text] : undefined
    if (holds !== undefined) return [{ kind: 'assert', holds }]
    if (/^\\[1-9k]/.test(text)) throw fail('back-references are not available', from)
    try {
      return [{ kind: 'char', accepts: charTest(text, ignoreCase) }]
    } catch {
      throw fail(`${text} is no character class or escape`, from)
    }
  }

  const group = (depth: number): Piece => {
    const from = at
    at++
    if (source.startsWith('?:', at)) at += 2
    else if (source[at] === '?') throw fail('of the groups with (? only (?: and a leading (?i) are available', from)
    const piece = alternatives(depth + 1)
    if (source[at] !== ')') throw fail('this ( is not closed', from)
    at++
    return piece
  }

  const repeated = (piece: Piece): Piece => {
    const from = at
    const quantifier = /(?:[*+?]|\{(\d{1,4})(,(\d{0,4}))?\})\??/y
    quantifier.lastIndex = at
    const match = quantifier.exec(source)
    if (!match) return piece
    at += match[0].length
    const [min, max] = boundsOf(match)
    if (max < min) throw fail('the bounds of this repeat are the wrong way round', from)
    if (piece.length * Math.max(min, max === Number.POSITIVE_INFINITY ? 1 : max) > stateLimit) {
      throw fail('the repeats make the regular expression too large', from)
    }
    if (/[*+?]|\{\d/y.test(source.slice(at, at + 2))) throw fail(`${source[at]} repeats a repeat`)
    return bounded(copies(piece, min, max))
  }

  return { alternatives, at: () => at }
}

/** How many characters the atom at an offset takes: a class, an escape, or one character. */
function atomLength(source: string, at: number): number {
  const regex = /\[(?:\\.|[^\]\\])*\]|\\(?:x[\da-f]{2}|u[\da-f]{4}|u\{[\da-f]+\}|p\{[^}]*\}|c[a-z]|.)|./isuy
  regex.lastIndex = at
  return regex.exec(source)?.[0].length ?? 1
}

function boundsOf(match: RegExpExecArray): readonly [number, number] {
  const [text, min, more, max] = match
  if (text.startsWith('*')) return [0, Number.POSITIVE_INFINITY]
  if (text.startsWith('+')) return [1, Number.POSITIVE_INFINITY]
  if (text.startsWith('?')) return [0, 1]
  if (more === undefined) return [Number(min), Number(min)]
  return [Number(min), max === '' ? Number.POSITIVE_INFINITY : Number(max)]
}

function copies(piece: Piece, min: number, max: number): Piece {
  const needed = Array.from({ length: min }, () => piece).flat()
  if (max === Number.POSITIVE_INFINITY) {
    const loop: Piece = [
      { kind: 'split', to: [1, piece.length + 2] },
      ...piece,
      { kind: 'split', to: [-piece.length - 1] },
    ]
    return [...needed, ...loop]
  }
  let optional: Piece = []
  for (let i = min; i < max; i++) {
    const longer: Piece = [...piece, ...optional]
    optional = [{ kind: 'split', to: [1, longer.length + 1] }, ...longer]
  }
  return [...needed, ...optional]
}

function either(first: Piece, second: Piece): Piece {
  const jump: Instruction = { kind: 'split', to: [second.length + 1] }
  return [{ kind: 'split', to: [1, first.length + 2] }, ...first, jump, ...second]
}
