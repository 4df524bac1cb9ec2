import { expect, it } from 'vitest'
import { z } from 'zod'
import {
  createBridge,
  createEventStore,
  createPublisher,
  createRegistry,
  defineEvent,
  defineHandler,
  openStore,
} from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const registry = createRegistry([defineEvent('user.registered', { 1: z.object({ n: z.number() }) })])

it('is one store for bridge, publisher and event store, and stays open until it is closed', async () => {
  const { url } = await createTestDatabase()
  const store = await openStore(url, { max: 12 })
  const seen: unknown[] = []
  const seeing = defineHandler({ name: 'test.seeing', on: ['user.*'], handle: ({ data }) => void seen.push(data) })
  const bridge = createBridge({ store, registry, handlers: [seeing] })
  await bridge.start()
  const publisher = createPublisher({ store, registry, source: 'test' })
  const events = createEventStore({ store, registry })
  const registered = (n: number) => ({ type: 'user.registered', subject: 'user/7', data: { n } })
  await store.query('create table users (id int)')
  await store.transaction(async (sql) => {
    await sql.query('insert into users values (7)')
    await publisher.publish(sql, [registered(1)])
  })
  const failing = store.transaction(async (sql) => {
    await publisher.publish(sql, [registered(2)])
    throw new Error('rolled back')
  })
  await expect(failing).rejects.toThrow('rolled back')
  await events.append('user/8', 0, [{ type: 'user.registered', data: { n: 3 } }])
  await until(() => seen.length === 2, { withinMs: 20_000 })
  expect(seen).toEqual(expect.arrayContaining([{ n: 1 }, { n: 3 }]))
  await Promise.all([publisher.close(), events.close(), bridge.stop()])
  expect((await store.query('select id from users')).rows).toEqual([{ id: 7 }])
  await store.close()
  await expect(store.query('select 1')).rejects.toMatchObject({ code: 'closed' })
})

it('says what is wrong with an address', async () => {
  await expect(openStore('redis://h')).rejects.toMatchObject({ code: 'usage' })
  await expect(openStore('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({ code: 'connect' })
})
