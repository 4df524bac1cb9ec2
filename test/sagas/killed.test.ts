import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { dataOf, publish, startBridge } from './running.ts'

const forward = ['run', 'on', 'act', 'completed']
const backward = ['run', 'on', 'act', 'undo-act', 'undo-load', 'failed']

it('a saga whose process is killed at each of its steps does everything once', async () => {
  const { store, url } = await createTestDatabase()
  await store.query('create table effects (id text, what text)')
  const folder = mkdtempSync(join(tmpdir(), 'evt-sagas-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const keys = ['good.completed', ...backward.map((point) => `bad.${point}`)]
  for (const id of keys) await publish(store, 'job.started', { id })
  await startBridge(url, { roles: ['relay'] })
  const deadline = performance.now() + 90_000
  const isOver = async () =>
    (await store.query('select from evt.sagas where ended_at is not null')).rows.length === keys.length
  let deaths = 0
  let spare = startChild(url, folder)
  onTestFinished(() => void spare.kill('SIGKILL'))
  while (!(await isOver()) && performance.now() < deadline) {
    const child = spare
    child.stdin?.write('go')
    spare = startChild(url, folder)
    while (child.exitCode === null && child.signalCode === null && !(await isOver()))
      await new Promise((resolve) => setTimeout(resolve, 20))
    if (child.signalCode === 'SIGKILL') deaths += 1
    else child.kill('SIGKILL')
  }
  const { rows: sagas } = await store.query('select key, status from evt.sagas order by key')
  expect(sagas).toEqual(
    [...keys].sort().map((key) => ({ key, status: key.startsWith('good') ? 'completed' : 'failed' })),
  )
  expect(deaths).toBe(keys.length)
  const { rows } = await store.query('select id, what from effects order by id, what')
  const expected = keys.flatMap((id) => (id.startsWith('good') ? forward : backward).map((what) => ({ id, what })))
  const inOrder = (one: { id: string; what: string }, other: { id: string; what: string }) =>
    `${one.id} ${one.what}` < `${other.id} ${other.what}` ? -1 : 1
  expect([...(rows as typeof expected)].sort(inOrder)).toEqual(expected.sort(inOrder))
  const published = (await dataOf(store, 'job.checked')).map(({ id }) => String(id)).sort()
  expect(published).toEqual(expected.map(({ id, what }) => `${id} ${what}`).sort())
}, 100_000)

function startChild(url: string, folder: string): ChildProcess {
  const script = join(import.meta.dirname, 'killed-process.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, url, folder], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.stdin?.on('error', () => {})
  return child
}
