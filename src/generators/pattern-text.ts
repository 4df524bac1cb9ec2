import type { Moment } from './moment.ts'

type Piece = (moment: Moment) => string

/**
 * Draws texts that match a regular expression: literals, classes, `\d \w \s .`, groups, alternatives and quantifiers. Undefined for what it does not
 * know (look-around, back-references, properties).
 */
export function compilePattern(source: string): Piece | undefined {
  const reader = { source, at: 0 }
  try {
    const piece = alternatives(reader)
    return reader.at === source.length ? piece : undefined
  } catch (error) {
    if (error === unknown) return undefined
    throw error
  }
}

interface Reader {
  readonly source: string
  at: number
}

const unknown = new Error('a part of a pattern that no text is drawn for')

function alternatives(reader: Reader): Piece {
  const ways = [sequence(reader)]
  while (reader.source[reader.at] === '|') {
    reader.at++
    ways.push(sequence(reader))
  }
  return ways.length === 1 ? (ways[0] as Piece) : (moment) => (ways[moment.below(ways.length)] as Piece)(moment)
}

function sequence(reader: Reader): Piece {
  const pieces: Piece[] = []
  while (reader.at < reader.source.length && !'|)'.includes(reader.source[reader.at] as string)) {
    const piece = atom(reader)
    pieces.push(repeated(piece, reader))
  }
  return (moment) => pieces.map((piece) => piece(moment)).join('')
}

function atom(reader: Reader): Piece {
  const letter = reader.source[reader.at++] as string
  if (letter === '^' || letter === '$') return () => ''
  if (letter === '(') return group(reader)
  if (letter === '[') return oneOf(characterClass(reader))
  if (letter === '.') return oneOf([...alphabet])
  if (letter === '\\') return oneOf(escaped(reader))
  if ('*+?{'.includes(letter)) throw unknown
  return () => letter
}

function group(reader: Reader): Piece {
  if (reader.source.startsWith('?:', reader.at)) reader.at += 2
  else if (reader.source[reader.at] === '?') throw unknown
  const inner = alternatives(reader)
  if (reader.source[reader.at++] !== ')') throw unknown
  return inner
}

const lower = 'abcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'
const alphabet = `${lower}${lower.toUpperCase()}${digits}`

const oneOf = (letters: readonly string[]): Piece => {
  if (letters.length === 0) throw unknown
  return (moment) => letters[moment.below(letters.length)] as string
}

function escaped(reader: Reader): readonly string[] {
  const letter = reader.source[reader.at++] ?? ''
  if (letter === 'd') return [...digits]
  if (letter === 'w') return [...alphabet, '_']
  if (letter === 's') return [' ']
  if (/[A-Za-z0-9]/.test(letter)) throw unknown
  return [letter]
}

function characterClass(reader: Reader): readonly string[] {
  if (reader.source[reader.at] === '^') throw unknown
  const letters: string[] = []
  while (reader.source[reader.at] !== ']') {
    if (reader.at >= reader.source.length) throw unknown
    const letter = reader.source[reader.at++] as string
    if (letter === '\\') letters.push(...escaped(reader))
    else if (reader.source[reader.at] === '-' && reader.source[reader.at + 1] !== ']') {
      const end = reader.source[reader.at + 1] as string
      reader.at += 2
      for (let code = letter.charCodeAt(0); code <= end.charCodeAt(0); code++) letters.push(String.fromCharCode(code))
    } else letters.push(letter)
  }
  reader.at++
  return letters
}

/** An open end is at most five more. */
function repeated(piece: Piece, reader: Reader): Piece {
  const [whole, mark, from, comma, to] = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(reader.source.slice(reader.at)) ?? []
  if (whole === undefined) return piece
  reader.at += whole.length
  const least = mark === '+' ? 1 : Number(from ?? 0)
  const most = mark === '?' ? 1 : to ? Number(to) : comma || mark ? least + 5 : least
  return (moment) => Array.from({ length: least + moment.below(most - least + 1) }, () => piece(moment)).join('')
}
