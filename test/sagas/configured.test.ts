import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createNowhere, start } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { publish, sagaOf, untilSaga } from './running.ts'

const library = resolve(import.meta.dirname, '../../src/index.ts')
const schemas = resolve(import.meta.dirname, '../../node_modules/zod/index.js')
const project = `
import { defineEvent, defineSaga, defineService } from ${JSON.stringify(library)}
import { z } from ${JSON.stringify(schemas)}
const job = z.object({ id: z.string() })
const started = defineEvent('job.started', { 1: job })
const loaded = defineEvent('job.loaded', { 1: job })
const jobs = defineSaga({
  name: 'jobs.import', startsOn: started, state: job, start: 'earliest',
  steps: ({ step }) => [step('load', { awaits: loaded })],
})
export default { services: [defineService({ name: 'jobs', contracts: [started, loaded], handlers: [], sagas: [jobs] })] }
`

it('ENABLE_SAGAS keeps sagas from running and SAGA_TIMEOUT_SECONDS bounds them', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  writeFileSync(join(nowhere.path, 'evt.config.ts'), project)
  const up = async (env: Record<string, string>, work: () => Promise<unknown>) => {
    const running = start(['up'], { store: url, cwd: nowhere.path, env })
    try {
      await running.said(/is up on/)
      await work()
    } finally {
      running.signal('SIGTERM')
    }
    return running.ended
  }
  await publish(store, 'job.started', { id: 'a' }, { subject: 'job/a' })
  const off = await up({ ENABLE_SAGAS: 'false' }, () =>
    until(async () => (await store.query('select from evt.log')).rows.length === 1),
  )
  expect(off.stderr).toContain('sagas do not run: they are off (ENABLE_SAGAS)')
  expect(await sagaOf(store, 'jobs.import', 'job/a')).toBeUndefined()
  await up({ SAGA_TIMEOUT_SECONDS: '0.2' }, () => untilSaga(store, 'jobs.import', 'job/a', 'failed'))
  expect((await sagaOf(store, 'jobs.import', 'job/a'))?.reason).toContain('not done within 200ms')
})

it('the example of docs/sagas.md runs as it stands there', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/sagas.md'), 'utf8')
  const example = /```ts\n(.*?)```/s.exec(page)?.[1] ?? ''
  const here = example.replace("'evtctl'", JSON.stringify(library)).replace("'zod'", JSON.stringify(schemas))
  writeFileSync(join(nowhere.path, 'evt.config.ts'), here)
  const running = start(['up'], { store: url, cwd: nowhere.path })
  try {
    // As many as `evt status` counts.
    await running.said(/is up on .*\d+ handlers? \(1 of sagas\)/)
    await publish(store, 'user.registered', { userId: 'ada' })
    await untilSaga(store, 'accounts.registration', 'ada', 'running')
    await publish(store, 'profile.created', { userId: 'ada', profileId: 'p1' })
    await untilSaga(store, 'accounts.registration', 'ada', 'completed')
  } finally {
    running.signal('SIGTERM')
  }
  await running.ended
})
