import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { runHere } from './evt.ts'

const registry = createRegistry([defineEvent('thing.made', { 1: z.object({ n: z.number() }) })])

it('two bridges stop a handler that is paused, go on when it is resumed, and the list says who, why and where', async () => {
  const { store, url } = await createTestDatabase({ max: 6 })
  let handled = 0
  const handler = defineHandler({
    name: 'test.mailer',
    on: ['thing.*'],
    start: 'earliest',
    handle() {
      handled += 1
    },
  })
  for (const instance of ['one', 'two']) {
    const bridge = createBridge({ store: url, registry, handlers: [handler], instance })
    onTestFinished(() => bridge.stop())
    await bridge.start()
  }
  const publisher = createPublisher({ store, registry, source: 'test' })
  const publish = () =>
    publisher.publishAll(Array.from({ length: 20 }, (_, n) => ({ type: 'thing.made', subject: `s/${n}`, data: { n } })))
  await publish()
  await until(() => handled === 20)
  const evt = (...words: string[]) => runHere(words, { store: url })
  const list = async () => {
    const { stdout } = await evt('handlers', 'list', '--json')
    return JSON.parse(stdout).data.handlers as Record<string, unknown>[]
  }
  const paused = await evt('handlers', 'pause', 'test.mailer', '--reason', 'the mail server moves', '--yes')
  expect(paused).toMatchObject({ exit: 0, stdout: expect.stringContaining('paused test.mailer') })
  await until(async () => (await list())[0]?.state === 'paused')
  const bothPaused = () => store.query(`select 1 from evt.instances where (sample->'handlers'->0->>'paused')::boolean`)
  await until(async () => (await bothPaused()).rows.length === 2)
  await publish()
  const text = await evt('handlers', 'list')
  expect(text.stdout).toMatch(/test\.mailer .*paused .*one two .*paused by .*: the mail server moves/)
  expect((await list())[0]).toMatchObject({
    pause: { reason: 'the mail server moves' },
    instances: ['one', 'two'],
    priority: 'normal',
  })
  expect(handled).toBe(20)
  for (const reason of [['--reason', 'the mail server moves'], []]) {
    const again = await evt('handlers', 'pause', 'test.mailer', ...reason, '--yes')
    expect(again.stdout, reason.join(' ')).toContain('that is how it was')
  }
  expect((await list())[0]).toMatchObject({ pause: { reason: 'the mail server moves' } })
  expect((await evt('handlers', 'resume', 'test.mailer', '--dry-run')).stdout).toContain('would resume 1 handler (')
  await evt('handlers', 'resume', 'test.mailer', '--yes')
  await until(() => handled === 40)
  const { rows } = await store.query('select verb, target, reason, affected::int from evt.audit order by id')
  expect(rows).toEqual([
    { verb: 'handlers pause', target: 'test.mailer', reason: 'the mail server moves', affected: 1 },
    { verb: 'handlers resume', target: 'test.mailer', reason: null, affected: 1 },
  ])
})

it('a handler that no bridge runs any more keeps its place: the list says that nobody does, and resuming closes a breaker', async () => {
  const { store, url } = await createTestDatabase({ max: 4 })
  await store.query(`insert into evt.groups (name, lanes, start) values ('test.gone', 16, 0)`)
  await store.query(`insert into evt.breakers (handler, state, changed_by, failing, seen, error, probe_at)
    values ('test.gone', 'open', 'one', 12, 13, 'Error: no mail', now())`)
  const listed = await runHere(['handlers', 'list'], { store: url })
  expect(listed.stdout).toMatch(/test\.gone .*nobody .*breaker open for .*12 of 13 subjects fail: Error: no mail/)
  const wrong = await runHere(['handlers', 'resume', 'test.gon', '--yes'], { store: url })
  expect(wrong).toMatchObject({ exit: 2, stderr: expect.stringContaining('did you mean test.gone?') })
  const resumed = await runHere(['handlers', 'resume', 'test.gone', '--yes'], { store: url })
  expect(resumed).toMatchObject({ exit: 0, stdout: expect.stringContaining('resumed test.gone') })
  expect((await store.query('select state from evt.breakers')).rows).toEqual([{ state: 'closed' }])
})
