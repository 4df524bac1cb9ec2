import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { runHere } from './evt.ts'

it('a handler whose own check fails is seen in status, in the list of handlers and on the dashboard', async () => {
  const { store, url } = await createTestDatabase({ max: 6 })
  const handler = defineHandler({
    name: 'test.mailer',
    on: ['thing.*'],
    check: () => Promise.reject(new Error('no mail \u001b[31mserver')),
    handle() {},
  })
  const bridge = createBridge({ store, handlers: [handler], instance: 'one' })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const evt = (...words: string[]) => runHere(words, { store: url })
  const standing = async () => JSON.parse((await evt('status', '--json')).stdout).data
  await until(async () => (await standing()).stopped[0]?.state === 'unhealthy', { withinMs: 15_000 })
  expect(await standing()).toMatchObject({
    stopped: [{ handler: 'test.mailer', state: 'unhealthy', unhealthy: 'Error: no mail \u001b[31mserver' }],
    next: 'evt handlers list',
  })
  const [status, list, frame] = await Promise.all([evt('status'), evt('handlers', 'list'), evt('dash', '--once')])
  expect(status.stdout).toMatch(/^unhealthy +test\.mailer: its own check fails: Error: no mail/m)
  expect(list.stdout).toMatch(/^test\.mailer +unhealthy +failing .*its own check fails/m)
  expect(frame.stdout).toMatch(/^✖ unhealthy: test\.mailer, its own check fails: Error: no mail/m)
  expect(frame.stdout).toMatch(/^\W*✖ test\.mailer/m)
  expect(status.stdout + list.stdout + frame.stdout).not.toContain('\u001b')
})
