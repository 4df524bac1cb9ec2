import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SeedDocument, SeedHeading } from '../test/seeds/map/document.ts'

/** The five documents in their order: a map's file begins with its number, and exports `document`. */
export async function seedDocuments(root: string): Promise<readonly SeedDocument[]> {
  const folder = join(root, 'test', 'seeds', 'map')
  const files = globSync('[1-5]-*.ts', { cwd: folder }).sort()
  const modules = await Promise.all(
    files.map((file) => import(pathToFileURL(join(folder, file)).href) as Promise<{ document: SeedDocument }>),
  )
  return modules.map(({ document }) => document)
}

/** docs/seeds.md: for each heading of each document, where it lives and which tests hold it. */
export async function seedsPage(root: string): Promise<string> {
  const documents = await seedDocuments(root)
  return [
    '# What the five documents promise, and where it is',
    '',
    'evt is the union of five event systems that were described before it. Every heading of each description stands here with',
    'what it says, where that lives and which tests hold it. Generated from `test/seeds/map/` by `npm run gen`; a test checks',
    'that every place and every test is there.',
    ...documents.flatMap(({ title, service, headings }, index) => [
      '',
      `## ${index + 1} ${title}`,
      '',
      `Runs as \`evt up --services ${service.split(', ').join(',')}\`.`,
      '',
      '| heading | says | where | held by |',
      '| --- | --- | --- | --- |',
      ...headings.map((one, at) => row(one, (headings[at + 1]?.level ?? 0) > one.level)),
    ]),
    '',
  ].join('\n')
}

function row({ heading, level, says, where, tests, decided }: SeedHeading, hasParts: boolean): string {
  const indent = '&emsp;'.repeat(level - 2)
  const said = decided === undefined ? says : `${says} **Decided:** ${decided}`
  const held = tests.map((test) => {
    const [file = '', title = ''] = split(test)
    return `\`${file.replace(/^test\//, '')}\` *${title}*`
  })
  const below = hasParts ? ['the rows below'] : []
  const cells = [
    `${indent}${heading}`,
    said,
    where.map((place) => `\`${place}\``).join('<br>'),
    (held.length > 0 ? held : below).join('<br>'),
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

/** The file and the title of `test/a.test.ts: a title`. */
export function split(test: string): readonly [file: string, title: string] {
  const at = test.indexOf(': ')
  return [test.slice(0, at), test.slice(at + 2)]
}
