import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createEventStore } from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'

const added = defineEvent('item.added', {
  1: z.object({ sku: z.string() }),
  2: { schema: z.object({ sku: z.string(), count: z.number() }), upcast: (data) => ({ ...data, count: 1 }) },
})

async function opened() {
  const { store, url } = await createTestDatabase({ max: 12 })
  const events = createEventStore({ store: url, registry: createRegistry([added]) })
  onTestFinished(() => events.close())
  const read = async (subject: string, from?: number): Promise<EvtEvent[]> => {
    const all: EvtEvent[] = []
    for await (const event of events.readSubject(subject, from === undefined ? {} : { from })) all.push(event)
    return all
  }
  const add = (...skus: string[]) => skus.map((sku) => ({ type: 'item.added', data: { sku, count: 2 } }))
  return { store, events, read, add }
}

it('what was appended is read back in order from a sequence, without a relay, and up-cast', async () => {
  const { events, read, add } = await opened()
  expect(await events.append('cart/1', 0, [{ type: 'item.added', version: 1, data: { sku: 'a' } }])).toMatchObject({
    sequence: 1n,
  })
  expect(await events.append('cart/1', 1, add('b', 'c'))).toMatchObject({ sequence: 3n })
  await events.append('cart/2', 'any', add('x'))
  const all = await read('cart/1')
  expect(all.map(({ sequence, data }) => [sequence, data])).toEqual([
    [1, { sku: 'a', count: 1 }],
    [2, { sku: 'b', count: 2 }],
    [3, { sku: 'c', count: 2 }],
  ])
  expect((await read('cart/1', 3)).map(({ sequence }) => sequence)).toEqual([3])
  expect(await read('cart/3')).toEqual([])
  await expect(events.append('cart/1', 3, [{ type: 'item.added', data: { sku: 1 } }])).rejects.toMatchObject({
    code: 'contract',
  })
})

it('of writers that expect the same sequence one succeeds, and the others are told the actual one', async () => {
  const { store, events, read, add } = await opened()
  for (let round = 0; round < 10; round += 1) {
    const tries = Array.from({ length: 8 }, (_, n) => events.append('cart/1', round, add(`${round}.${n}`)))
    const results = await Promise.allSettled(tries)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({
          code: 'conflict',
          message: expect.stringContaining(`it is at sequence ${round + 1}`),
        })
    }
  }
  expect((await read('cart/1')).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  // Nothing of those that failed was written, and their transaction goes on.
  await store.transaction(async (sql) => {
    await expect(events.append('cart/1', 4, add('late'), sql)).rejects.toMatchObject({ code: 'conflict' })
    await events.append('cart/1', 10, add('now'), sql)
  })
  expect(await read('cart/1')).toHaveLength(11)
})

it('a transaction with an old snapshot cannot append what another one did meanwhile', async () => {
  const { store, events, add, read } = await opened()
  await events.append('cart/1', 0, add('a'))
  const client = await store.pool.connect()
  try {
    await client.query('begin isolation level repeatable read')
    await client.query('select 1')
    await events.append('cart/1', 1, add('b'))
    await expect(events.append('cart/1', 1, add('c'), client)).rejects.toMatchObject({ code: 'conflict' })
  } finally {
    await client.query('rollback')
    client.release()
  }
  expect(await read('cart/1')).toHaveLength(2)
})

it('rolled back, it was never appended; removed by retention, it is not passed over in silence', async () => {
  const { store, events, add, read } = await opened()
  await events.append('cart/1', 0, add('a'))
  const failing = store.transaction(async (sql) => {
    await events.append('cart/1', 1, add('b'), sql)
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await read('cart/1')).toHaveLength(1)
  expect(await events.append('cart/1', 1, add('c'))).toMatchObject({ sequence: 2n })
  await store.query("update evt.streams set day = '2020-01-01', xid = '1' where sequence = 1")
  await expect(read('cart/1')).rejects.toMatchObject({
    code: 'partial',
    message: expect.stringContaining('at sequence 1'),
  })
  expect(await read('cart/1', 2)).toHaveLength(1)
})

it('a subject is read over the days that its events lie in, also when the day that was read last is gone', async () => {
  const { store, events, add, read } = await opened()
  await events.append('cart/1', 0, add('a', 'b', 'c'))
  const today = `'evt.outbox_default_' || to_char(evt.today(), 'YYYYMMDD')`
  await store.query(`select evt.make_partitions(date '2020-01-01', date '2020-01-01')`)
  const moveBefore = (sequence: number) =>
    store.query(`do $$ begin
      execute 'create temp table moved on commit drop as select * from ' || ${today} || ' where sequence < ${sequence}';
      execute 'delete from ' || ${today} || ' where sequence < ${sequence}';
      update moved set day = '2020-01-01';
      insert into evt.outbox select * from moved;
      update evt.streams set day = '2020-01-01' where sequence < ${sequence};
    end $$`)
  const skus = async () => (await read('cart/1')).map(({ data }) => (data as { sku: string }).sku)
  await moveBefore(3)
  // The second time it begins with the day that the first one ended with.
  expect([await skus(), await skus()]).toEqual([
    ['a', 'b', 'c'],
    ['a', 'b', 'c'],
  ])
  await moveBefore(4)
  await store.query(`do $$ begin execute 'drop table ' || ${today}; end $$`)
  expect(await skus()).toEqual(['a', 'b', 'c'])
})
