import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { runHere } from './evt.ts'

it('an open breaker and a handler that nobody runs are seen in status and on the dashboard, and then gone', async () => {
  const { store, url } = await createTestDatabase({ max: 6 })
  let isDown = true
  const handler = defineHandler({
    name: 'test.mailer',
    on: ['thing.*'],
    start: 'earliest',
    breaker: { subjects: 3, window: '1m', probe: '100ms' },
    retry: { attempts: 9, initial: '50ms', max: '50ms' },
    handle() {
      if (isDown) throw new Error('no mail \u001b[31mserver')
    },
  })
  await store.query(`insert into evt.groups (name, lanes, start) values ('test.gone', 16, 0), ('a.replay-1', 16, 0)`)
  const evt = (...words: string[]) => runHere(words, { store: url })
  const none = await evt('status')
  expect(none.stdout).toMatch(/^bridges +none runs$/m)
  expect(none.stdout).not.toMatch(/^run by nobody/m)
  const bridge = createBridge({ store: url, handlers: [handler], instance: 'one' })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  await store.query(`select evt.publish('thing.made', '{}', 's/' || n) from generate_series(1, 5) n`)
  const standing = async () => JSON.parse((await evt('status', '--json')).stdout).data
  const stopped = async () => (await standing()).stopped as { handler: string; state: string }[]
  await until(async () => (await stopped()).some(({ state }) => state === 'broken'), { withinMs: 15_000 })
  expect(await standing()).toMatchObject({
    stopped: [
      { handler: 'test.gone', state: 'nobody' },
      { handler: 'test.mailer', state: 'broken', pause: null, breaker: { failing: 3, by: 'one' } },
    ],
    next: 'evt handlers list',
  })
  const { stdout } = await evt('status')
  expect(stdout).toMatch(/^broken +test\.mailer: breaker open for .*: 3 of 3 subjects fail: Error: no mail/m)
  expect(stdout).toMatch(/^run by nobody +test\.gone$/m)
  expect(stdout).not.toContain('\u001b')
  const [frame, figures] = await Promise.all([evt('dash', '--once'), evt('dash', '--once', '--json')])
  expect(frame.stdout).toMatch(/^⊘ broken: test\.mailer, breaker open for .*: 3 of 3 subjects fail: Error: no mail/m)
  expect(frame.stdout).toMatch(/^\W*⊘ test\.mailer/m)
  expect(frame.stdout).toMatch(/^\W*○ test\.gone/m)
  expect(JSON.parse(figures.stdout).data).toMatchObject({
    stopped: [{ handler: 'test.gone' }, { handler: 'test.mailer', state: 'broken' }],
    handlers: [{ handler: 'test.mailer', broken: true }],
  })
  await evt('handlers', 'pause', 'test.mailer', '--reason', 'it moves', '--yes')
  await until(async () => (await stopped())[1]?.state === 'paused')
  expect((await evt('status')).stdout).toMatch(/^paused +test\.mailer: paused by .*: it moves$/m)
  await evt('handlers', 'resume', 'test.mailer', '--yes')
  isDown = false
  await until(async () => (await stopped()).every(({ state }) => state === 'nobody'), { withinMs: 15_000 })
  expect((await evt('status')).stdout).not.toMatch(/^broken/m)
})
