import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startEmbedded } from '../../src/store/embedded.ts'
import { createNowhere, runHere } from './evt.ts'

it('a project has its own embedded store or none; outside of any, that of another is read and not changed; a token needs no bridge', async () => {
  const [shop, other, nowhere] = ['shop', 'other', 'nowhere'].map((name) => {
    const { path, dispose } = createNowhere()
    onTestFinished(dispose)
    if (name !== 'nowhere') writeFileSync(join(path, 'evt.config.yaml'), 'http: { port: 0, requireToken: true }\n')
    return path
  }) as [string, string, string]
  mkdirSync(join(other, '.evt/postgres'), { recursive: true })
  // `runHere` makes its cwd the home directory, where running servers are remembered.
  const remembered = (home: string) => join(home, '.cache/evt/postgres')
  const first = await runHere(['token', 'create', '--scope', 'read', '--name', 'first'], { cwd: shop })
  expect(first, first.stderr).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^evt_\S+\n$/) })
  const server = await startEmbedded(shop, { serversDirectory: remembered(shop) })
  onTestFinished(() => server.stop())
  for (const home of [other, nowhere]) {
    mkdirSync(remembered(home), { recursive: true })
    writeFileSync(join(remembered(home), 'shop'), shop)
  }
  expect(await runHere(['token', 'list'], { cwd: shop })).toMatchObject({
    exit: 0,
    stdout: expect.stringMatching(/^first/m),
  })

  const refused = await runHere(['dlq', 'list'], { cwd: other })
  expect(refused).toMatchObject({ exit: 3, stdout: '' })
  expect(refused.stderr).toMatch(/the embedded one of this project does not run[\s\S]*`evt up`/)
  const status = await runHere(['status'], { cwd: other })
  expect(status.stdout).toMatch(/^next +evt up$/m)
  expect(status.stdout).not.toContain(shop)

  const read = await runHere(['token', 'list'], { cwd: nowhere })
  expect(read).toMatchObject({
    exit: 0,
    stderr: expect.stringContaining(`this is no project: looking at the embedded store of ${shop}`),
  })
  for (const words of [
    ['token', 'create', '--scope', 'read', '--name', 'second'],
    ['gen', 'user.created'],
    ['migrate', 'up'],
  ]) {
    const changed = await runHere(words, { cwd: nowhere })
    expect(changed, words.join(' ')).toMatchObject({ exit: 4, stderr: expect.stringContaining(`cd ${shop}`) })
  }
  rmSync(join(remembered(nowhere), 'shop'))
})
