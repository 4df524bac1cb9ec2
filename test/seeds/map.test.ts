import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { seedDocuments, split } from '../../scripts/seeds-page.ts'

const root = resolve(import.meta.dirname, '../..')
const documents = await seedDocuments(root)

it('has a map of each of the five documents', () => {
  expect(documents).toHaveLength(5)
})

describe.each(documents)('the map of: $title', ({ headings }) => {
  it('names places that are there', () => {
    expect(headings.flatMap(({ where }) => where).filter((place) => !existsSync(join(root, place)))).toEqual([])
  })

  it('names tests that are there', () => {
    const missing = headings
      .flatMap(({ tests }) => tests)
      .filter((test) => {
        const [file, title] = split(test)
        const path = join(root, file)
        return title === '' || !existsSync(path) || !hasTitle(readFileSync(path, 'utf8'), title)
      })
    expect(missing).toEqual([])
  })

  it('has a test, or a decision, for everything that has no parts of its own', () => {
    const bare = headings.filter(
      ({ level, tests, decided }, at) =>
        tests.length === 0 && decided === undefined && (headings[at + 1]?.level ?? 0) <= level,
    )
    expect(bare.map(({ heading }) => heading)).toEqual([])
  })

  it('says where each thing is, or how it was decided', () => {
    const lost = headings.filter(({ where, decided }) => where.length === 0 && decided === undefined)
    expect(lost.map(({ heading }) => heading)).toEqual([])
  })
})

/** In source an apostrophe may be escaped. */
const hasTitle = (source: string, title: string): boolean =>
  source.replaceAll("\\'", "'").includes(title.replace(/ ?…$/, ''))
