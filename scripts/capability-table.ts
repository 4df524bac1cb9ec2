// The docs' table of what each transport promises, from the same data by which the conformance suite skips.
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Capabilities } from '../src/transports/transport.ts'

const yes = (has: boolean) => (has ? 'yes' : '–')

const columns: Readonly<Record<string, (of: Capabilities) => string>> = {
  order: ({ order }) => (order === 'per-key' ? 'per key' : '–'),
  durable: ({ durable }) => yes(durable),
  history: ({ history }) => yes(history),
  'duplicates recognised': ({ deduplicates }) => yes(deduplicates),
  'effects and position in one transaction': ({ transactional }) => yes(transactional),
  'shared groups': ({ shared }) => yes(shared),
  'started told from released': ({ marksStarted }) => yes(marksStarted),
  content: ({ content }) => content,
  'observes from': ({ seeks }) => ['now', ...seeks].join(', '),
  'own mark of the log': ({ ownMark }) => yes(ownMark),
  'dead letters of its own': ({ deadLetters }) => yes(deadLetters),
  'removes what it made': ({ removes }) => yes(removes),
}

/** Rows by promise, columns by transport: every exported `…Capabilities` of `src/transports/<name>/`. */
export async function capabilityTable(root: string): Promise<string> {
  const all: [folder: string, exported: string, of: Capabilities][] = []
  const folder = join(root, 'src', 'transports')
  for (const file of globSync('*/*.ts', { cwd: folder }).sort()) {
    const exported: Record<string, unknown> = await import(pathToFileURL(join(folder, file)).href)
    for (const [name, value] of Object.entries(exported))
      if (name.endsWith('Capabilities')) all.push([dirname(file), name, value as Capabilities])
  }
  return [
    `| | ${all.map(([transport, exported]) => titleOf(transport, exported, all.filter(([one]) => one === transport).length)).join(' | ')} |`,
    `| --- |${' --- |'.repeat(all.length)}`,
    ...Object.entries(columns).map(([title, cell]) => `| ${title} | ${all.map(([, , of]) => cell(of)).join(' | ')} |`),
  ].join('\n')
}

/** One of a folder is called as the folder; of several `postgres`, `channelCapabilities` → `postgres channel`. */
function titleOf(transport: string, exported: string, exports: number): string {
  const what = exported.replace(/Capabilities$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return exports === 1 ? transport : `${transport} ${what}`
}
