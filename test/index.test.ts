import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as library from '../src/index.ts'
import * as testing from '../src/testing.ts'

const root = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const docs = ['README.md', ...globSync('docs/*.md', { cwd: root })].map(read).join('\n')

describe.each([
  ['evtctl', 'src/index.ts', library],
  ['evtctl/testing', 'src/testing.ts', testing],
] as const)('%s', (name, file, door) => {
  const text = read(file)

  it('has every name that an example of the docs imports', () => {
    const imported = [...docs.matchAll(new RegExp(`import (?:type )?\\{([^}]*)\\} from '${name}'`, 'g'))]
    expect(imported.length).toBeGreaterThan(0)
    const names = imported.flatMap(([, list = '']) => list.split(',').map((one) => one.trim().replace('type ', '')))
    expect(names.filter((one) => !new RegExp(`\\b${one}\\b`).test(text))).toEqual([])
  })

  it('has no function that the docs do not name', () => {
    const untold = Object.keys(door).filter((one) => !new RegExp(`\\b${one}\\b`).test(docs))
    expect(untold).toEqual([])
  })

  it('loads no driver', () => {
    const directory = mkdtempSync(join(tmpdir(), 'evt-door-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const spy = join(directory, 'spy.mjs')
    writeFileSync(
      spy,
      `import { registerHooks } from 'node:module'\n` +
        `registerHooks({ load(url, context, next) { console.log(url); return next(url, context) } })\n` +
        `await import(${JSON.stringify(join(root, file))})\n`,
    )
    const { stdout, stderr, status } = spawnSync(process.execPath, [spy], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
    const loaded = stdout.trim().split('\n')
    expect(loaded.some((url) => url.endsWith(`/${file}`))).toBe(true)
    // Schemas are zod's.
    expect(loaded.filter((url) => url.includes('/node_modules/') && !url.includes('/node_modules/zod/'))).toEqual([])
    expect(loaded.filter((url) => /\/src\/(transports\/\w+\/|ui|commands|serve)/.test(url))).toEqual([])
  })

  it('is what the package says that it is', () => {
    const { exports } = JSON.parse(read('package.json')) as { readonly exports: Readonly<Record<string, object>> }
    const made = file.replace('src/', './dist/').replace(/\.ts$/, '')
    expect(exports[name.replace('evtctl', '.')]).toEqual({ types: `${made}.d.ts`, default: `${made}.js` })
  })
})
