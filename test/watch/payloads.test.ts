import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge, createRegistry, defineEvent, sensitive } from '../../src/index.ts'
import { createNowhere, runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

it('payloads of chosen types are logged from when an operator says so, masked, each once, until it is over', async () => {
  const nowhere = createNowhere()
  onTestFinished(() => nowhere.dispose())
  const { url, store } = await createTestDatabase()
  const registry = createRegistry([
    defineEvent('user.created', { 1: z.object({ name: z.string(), card: sensitive(z.string()) }) }),
  ])
  const lines: { message: string; fields: { event?: string; data?: unknown } }[] = []
  const line = (message: string, fields: object = {}) => void lines.push({ message, fields })
  const log = { debug: line, info: line, warn: line, error: line }
  const often = { monitoringInterval: '50ms', privacy: { detect: 'mask' } } as const
  for (const instance of ['a', 'b']) {
    const bridge = createBridge({ store: url, registry, instance, log, roles: ['relay'], ...often })
    onTestFinished(() => bridge.stop())
    await bridge.start()
  }
  const evt = (...words: string[]) => runHere(words, { store: url, cwd: nowhere.path })
  const publish = (id: string, type = 'user.created') =>
    store.query(
      `select evt.publish($2, '{"name": "Ada", "card": "planted-secret", "to": "ada@lovelace.org"}', 'user/1', id => $1, correlation_id => 'c-1')`,
      [id, type],
    )
  const reached = async (id: string) => {
    const { rows } = await store.query(
      `select from evt.watch_tasks, evt.log l join evt.outbox o using (xid, seq) where task = 'payloads' and o.id = $1 and l.position <= watch_tasks.position`,
      [id],
    )
    return rows.length > 0
  }
  const logged = () => lines.filter(({ message }) => message === 'payload').map(({ fields }) => fields.event)
  await publish('early')
  await until(() => reached('early'), { withinMs: 20_000 })
  expect(await evt('payloads', 'log', 'user.*', '--reason', 'ticket')).toMatchObject({ exit: 0 })
  await publish('one')
  await publish('other', 'order.placed')
  await publish('two')
  await until(() => reached('two'), { withinMs: 20_000 })
  await until(() => logged().length === 2, { withinMs: 20_000 })
  await evt('payloads', 'log', 'user.*', '--for', '0s')
  await publish('late')
  await until(() => reached('late'), { withinMs: 20_000 })
  expect(logged()).toEqual(['one', 'two'])
  expect(lines.find(({ fields }) => fields.event === 'one')?.fields).toMatchObject({
    ...{ type: 'user.created', subject: 'user/1', correlation: 'c-1' },
    data: { name: 'Ada', card: '***', to: '***' },
  })
  expect(JSON.stringify(lines)).not.toContain('planted-secret')
  const { rows } = await store.query(`select verb, target, reason from evt.audit order by id limit 1`)
  expect(rows).toEqual([{ verb: 'payloads log', target: 'user.*', reason: 'ticket' }])
  expect(await evt('payloads', 'log', 'user..x')).toMatchObject({ exit: 2 })
})
