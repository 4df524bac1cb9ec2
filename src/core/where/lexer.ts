import { complaint } from '../caret.ts'
import { parseDuration } from '../duration.ts'
import type { EvtError } from '../errors.ts'
import { bareSegment, operators } from './tree.ts'

export type Token = { readonly at: number; readonly end: number } & (
  | { readonly kind: 'path'; readonly segments: readonly string[] }
  | { readonly kind: 'word'; readonly word: Word }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'duration'; readonly text: string; readonly ms: number }
  | { readonly kind: 'sign'; readonly sign: Sign }
  | { readonly kind: 'end' }
)

const words = ['and', 'or', 'not', 'in', 'true', 'false', 'null', 'now'] as const
export type Word = (typeof words)[number]

const signs = [...operators, '~', '(', ')', '[', ']', ',', '+', '-'] as const
export type Sign = (typeof signs)[number]

/** What people write who come from another language, and what it is called here. */
const foreign: readonly (readonly [string, string])[] = [
  ['===', 'write == to compare'],
  ['!==', 'write !='],
  ['&&', 'write and'],
  ['||', 'write or'],
  ['=~', 'write ~ for a regular expression'],
  ['<>', 'write !='],
  ['=', 'write == to compare'],
  ['!', 'write not'],
  ['/', "write a regular expression in quotes: type ~ '^user'"],
]

/** Longer expressions are refused: nobody types them, and reading one must stay cheap. */
export const lengthLimit = 4000

export function failure(text: string, at: number, reason: string, hint?: string): EvtError {
  return complaint({ what: 'expression', text, at, reason, ...(hint === undefined ? {} : { hint }) })
}

/** The tokens of an expression, the last of kind `end`. Throws EvtError('usage') that points at the character. */
export function tokensOf(text: string): readonly Token[] {
  if (text.length > lengthLimit) throw failure(text, lengthLimit, `it is longer than ${lengthLimit} characters`)
  const tokens: Token[] = []
  let at = skipSpace(text, 0)
  while (at < text.length) {
    const token = tokenAt(text, at, tokens.at(-1))
    tokens.push(token)
    at = skipSpace(text, token.end)
  }
  tokens.push({ kind: 'end', at: text.length, end: text.length })
  return tokens
}

function tokenAt(text: string, at: number, before: Token | undefined): Token {
  const char = text[at] ?? ''
  if (char === "'" || char === '"') return stringAt(text, at)
  const afterNow = before?.kind === 'word' && before.word === 'now'
  if (/\d/.test(char) || (char === '-' && !afterNow && /\d/.test(text[at + 1] ?? ''))) return numberAt(text, at)
  const name = sticky(rootName, text, at)
  if (name !== undefined) return nameAt(text, at, name)
  const known = foreign.find(([mark]) => text.startsWith(mark, at))
  const sign = signs.find((candidate) => text.startsWith(candidate, at))
  // `===` begins with `==`, and `=` is the beginning of nothing else.
  if (known && known[0].length > (sign?.length ?? 0)) throw failure(text, at, `unexpected ${known[0]}`, known[1])
  if (sign === undefined) throw failure(text, at, 'this character means nothing here', 'texts stand in quotes')
  return { kind: 'sign', sign, at, end: at + sign.length }
}

const rootName = /[\p{L}_$][\p{L}\p{N}_$]*/uy

function nameAt(text: string, at: number, name: string): Token {
  const word = words.find((candidate) => candidate === name.toLowerCase())
  let end = at + name.length
  if (word !== undefined) return { kind: 'word', word, at, end }
  const segments = [name]
  for (;;) {
    const segment = segmentAt(text, end)
    if (segment === undefined) return { kind: 'path', segments, at, end }
    segments.push(segment.name)
    end = segment.end
  }
}

/** `.plan`, `."any name"`, `[0]`, `['any name']`. */
function segmentAt(text: string, at: number): { readonly name: string; readonly end: number } | undefined {
  const bracket = text[at] === '['
  if (!bracket && text[at] !== '.') return undefined
  const from = bracket ? skipSpace(text, at + 1) : at + 1
  const quote = text[from] === "'" || text[from] === '"' ? stringAt(text, from) : undefined
  const bare = sticky(bracket ? /\d+/y : bareSegment, text, from)
  const name = quote?.value ?? bare
  if (name === undefined)
    throw failure(text, from, `expected ${bracket ? 'an index or a quoted name' : 'a field name'}`)
  const end = quote?.end ?? from + name.length
  if (!bracket) return { name, end }
  const close = skipSpace(text, end)
  if (text[close] !== ']') throw failure(text, close, 'expected ]')
  return { name, end: close + 1 }
}

function numberAt(text: string, at: number): Token {
  const word = sticky(/-?[\p{L}\p{N}_.]+(?:(?<=\d[eE])[+-]\d+)?/uy, text, at) ?? ''
  const end = at + word.length
  if (/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(word)) {
    const value = Number(word) + 0 // -0 becomes 0
    if (!Number.isFinite(value)) throw failure(text, at, 'the number is too large')
    return { kind: 'number', value, at, end }
  }
  try {
    return { kind: 'duration', text: word, ms: parseDuration(word), at, end }
  } catch {
    throw failure(text, at, 'expected a number or a duration', 'durations look like 250ms, 1m30s or 2h')
  }
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' }

/** A backslash before any other character stays, so that regular expressions need not double theirs. */
function stringAt(text: string, at: number): Token & { readonly kind: 'string' } {
  const quote = text[at]
  let value = ''
  let next = at + 1
  while (next < text.length && text[next] !== quote) {
    const char = text[next] ?? ''
    const meant = char === '\\' ? escapes[text[next + 1] ?? ''] : undefined
    value += meant ?? char
    next += meant === undefined ? 1 : 2
  }
  if (next >= text.length) throw failure(text, at, 'this text is not closed', `it needs another ${quote}`)
  return { kind: 'string', value, at, end: next + 1 }
}

function skipSpace(text: string, at: number): number {
  return at + (sticky(/\s*/y, text, at)?.length ?? 0)
}

function sticky(regex: RegExp, text: string, at: number): string | undefined {
  regex.lastIndex = at
  return regex.exec(text)?.[0]
}
