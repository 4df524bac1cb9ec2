import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

it('a handler gets types whose names are not ASCII, and its dead letters have them', async () => {
  const { url, store } = await createTestDatabase()
  const types = ['größe.geändert', '100%.done', '用户.创建']
  for (const type of types) await store.query(`select evt.publish($1, '{}')`, [type])
  await store.query(`select evt.publish('größe.falsch', '{}')`)
  await store.query(`select evt.publish('plain.one', '{}')`)
  const handled: string[] = []
  const handler = defineHandler({
    name: 'test.names',
    on: ['größe.*', '100%.*', '用户.创建', 'plain.*'],
    start: 'earliest',
    retry: { attempts: 1 },
    async handle({ type }) {
      if (type === 'größe.falsch') throw new Error('wrong')
      handled.push(type)
    },
  })
  const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const dead = await until(async () => {
    const { rows } = await store.query('select type from evt.dead_letters')
    return handled.includes('plain.one') && rows.length > 0 && rows
  })
  // What shared a transaction with the one that fails runs once more.
  expect([...new Set(handled)].toSorted()).toEqual([...types, 'plain.one'].toSorted())
  expect(dead).toEqual([{ type: 'größe.falsch' }])
})
