import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
/** Shorter runs are idiom: the same few imports, the end of a function. */
const leastLines = 10

interface Line {
  readonly text: string
  readonly number: number
}

interface Source {
  readonly file: string
  readonly lines: readonly Line[]
}

/** Code without what says nothing: imports, comments, blank lines, lines of brackets alone, indentation. */
function readSource(file: string): Source {
  const text = readFileSync(join(root, file), 'utf8')
    .replace(/^import [\s\S]*?from '.*'$/gm, blank)
    .replace(/^\s*\/\*[\s\S]*?\*\//gm, blank)
  const lines = text
    .split('\n')
    .map((line, index) => ({
      text: line
        .replace(/^\s*\/\/.*$/, '')
        .trim()
        .replace(/\s+/g, ' '),
      number: index + 1,
    }))
    .filter((line) => /\w/.test(line.text))
  return { file, lines }
}

const blank = (text: string) => text.replace(/[^\n]/g, '')

/** Every place where two files, or two parts of one, say the same for at least `leastLines` lines. */
function findDuplicates(sources: readonly Source[]): string[] {
  const seen = new Map<string, { readonly source: Source; readonly at: number }>()
  const found: string[] = []
  for (const source of sources) {
    for (let at = 0; at + leastLines <= source.lines.length; at++) {
      const key = textOf(source, at, leastLines)
      const before = seen.get(key)
      if (!before) {
        seen.set(key, { source, at })
        continue
      }
      const length = lengthOf(before, { source, at })
      found.push(`${placeOf(before.source, before.at, length)} = ${placeOf(source, at, length)}`)
      at += length - 1
    }
  }
  return found
}

interface Place {
  readonly source: Source
  readonly at: number
}

function lengthOf(a: Place, b: Place): number {
  let length = leastLines
  while (isSame(a, b, length)) length++
  return length
}

const isSame = (a: Place, b: Place, offset: number) =>
  a.source.lines[a.at + offset] !== undefined &&
  a.source.lines[a.at + offset]?.text === b.source.lines[b.at + offset]?.text

const textOf = ({ lines }: Source, at: number, length: number) =>
  lines
    .slice(at, at + length)
    .map(({ text }) => text)
    .join('\n')

const placeOf = ({ file, lines }: Source, at: number, length: number) =>
  `${file}:${lines[at]?.number}-${lines[at + length - 1]?.number}`

const sourcesUnder = (directory: string) =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .sort()
    .map((name) => readSource(join(directory, name)))

test('no two places of the source say the same', () => {
  // What is here once belongs beside its first user, or under its own noun in core.
  expect(findDuplicates(sourcesUnder('src'))).toEqual([])
})

test('a copied stretch is found, with other imports, comments and indentation', () => {
  const body = Array.from({ length: leastLines }, (_, index) => `step${index}()`)
  const lines = (texts: readonly string[]) => texts.map((text, index) => ({ text, number: index + 1 }))
  const copied = findDuplicates([
    { file: 'a.ts', lines: lines(['before()', ...body]) },
    { file: 'b.ts', lines: lines([...body, 'after()']) },
  ])
  expect(copied).toEqual([`a.ts:2-${leastLines + 1} = b.ts:1-${leastLines}`])
})
