import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'

const script = resolve(import.meta.dirname, '../../scripts/put-in-place.js')

it('several who build at once leave one whole build, and nothing beside it', async () => {
  const root = mkdtempSync(join(tmpdir(), 'evt-build-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const place = join(root, 'dist')
  const build = (name: string) => {
    const fresh = join(root, `.dist-${name}`)
    mkdirSync(fresh)
    for (const file of ['a.js', 'b.js']) writeFileSync(join(fresh, file), name)
    const code = `import(${JSON.stringify(script)}).then((it) => it.putInPlace(...process.argv.slice(1)))`
    return promisify(execFile)(process.execPath, ['-e', code, fresh, place])
  }
  await build('first')
  expect(readFileSync(join(place, 'a.js'), 'utf8')).toBe('first')
  await Promise.all(['x', 'y', 'z'].map(build))
  const [a, b] = ['a.js', 'b.js'].map((file) => readFileSync(join(place, file), 'utf8'))
  expect(a).toMatch(/^[xyz]$/)
  expect(b).toBe(a)
  expect(readdirSync(root)).toEqual(['dist'])
})
