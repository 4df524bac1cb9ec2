import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { registry } from '../src/commands/registry.ts'
import { createTestDatabase } from './setup/database.ts'
import { until } from './setup/until.ts'

const root = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** The first example of a page, as a program of its own that finds the library here. */
function run(page: string, words: readonly string[], env: Record<string, string> = {}) {
  const text = /```ts\n(.*?)```/s.exec(read(page))?.[1] ?? ''
  const places = { evtctl: 'src/index.ts', 'evtctl/testing': 'src/testing.ts', zod: 'node_modules/zod/index.js' }
  const here = Object.entries(places).reduce(
    (code, [name, file]) => code.replaceAll(`'${name}'`, JSON.stringify(join(root, file))),
    text,
  )
  const directory = mkdtempSync(join(tmpdir(), 'evt-example-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'example.mts'), here)
  const child = spawn(process.execPath, [...words, join(directory, 'example.mts')], {
    env: { PATH: process.env.PATH ?? '', ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said.text += String(chunk)))
  return { child, said, ended: once(child, 'close').then(([code]: unknown[]) => code), lines: text.trim().split('\n') }
}

it('the service in README.md runs as it stands there', async () => {
  const { store, url } = await createTestDatabase()
  const { child, said, ended, lines } = run('README.md', [], { DATABASE_URL: url })
  expect(lines.length).toBeLessThanOrEqual(42)
  await until(() => said.text.includes('user.created is stored') || child.exitCode !== null, { withinMs: 25_000 })
  expect(said.text).toContain('user.created is stored')
  const mails =
    "select user_id, (select count(*)::int from evt.outbox where type = 'mail.queued') as queued from welcome_mails"
  await until(async () => (await store.query(mails)).rows[0]?.queued === 1, { withinMs: 20_000, what: said.text })
  expect((await store.query(mails)).rows).toEqual([{ user_id: '7', queued: 1 }])
  child.kill('SIGTERM')
  expect(await ended, said.text).toBe(0)
}, 60_000)

it('the test in docs/testing.md passes as it stands there', async () => {
  const { ended, said } = run('docs/testing.md', ['--test-reporter=tap'])
  expect(await ended, said.text).toBe(0)
  expect(said.text).toContain('ok 1 - a new user is welcomed')
})

it('README.md has a line for every page, and no link leads nowhere', () => {
  const linked = [...read('README.md').matchAll(/\]\(docs\/([a-z-]+\.md)\)/g)].map(([, page]) => page)
  const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'))
  expect([...new Set(linked)].sort()).toEqual(pages.sort())
})

it('every test that docs/delivery-guarantees.md names is there', () => {
  const text = read('docs/delivery-guarantees.md')
  const named = [...text.matchAll(/`(?:test\/)?([\w/-]+\.test\.ts)`((?:,? \*[^*]+\*)*)/g)]
  expect(named.length).toBeGreaterThan(80)
  const missing = named.flatMap(([, file = '', titles = '']) => {
    const [place] = file.includes('/') ? [`test/${file}`] : globSync(`test/**/${file}`, { cwd: root })
    if (place === undefined || !existsSync(join(root, place))) return [file]
    const source = read(place)
    const starts = [...titles.matchAll(/\*([^*]+)\*/g)].map(([, title = '']) => title.replace(/ ?…$/, ''))
    return starts.filter((start) => !source.includes(start)).map((start) => `${file} *${start}*`)
  })
  expect(missing).toEqual([])
})

it('pages and help name only commands that there are', () => {
  const known = new Set(Object.keys(registry))
  const pages = [
    'README.md',
    ...globSync(['docs/*.md', 'fixtures/golden/help/*.txt'], { cwd: root }).filter((page) => !inventing.includes(page)),
  ]
  const unknown = pages.flatMap((page) =>
    [...read(page).matchAll(/`evt ([a-z]+)(?: ([a-z]+))?/g)].flatMap(([line, first = '', second = '']) =>
      known.has(first) || known.has(`${first} ${second}`) ? [] : [`${page}: ${line}`],
    ),
  )
  expect(unknown).toEqual([])
})
/** Shows how one is made. */
const inventing = ['docs/adding-a-command.md']
