import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

const noted = defineEvent('note.written', { 1: z.object({ text: z.string() }) })
const registry = createRegistry([noted])

describeServers('the store publisher', (server) => {
  async function open() {
    const { store } = await createTestDatabase({ server })
    const publisher = createStorePublisher({ store, registry, source: 'test', maxBytes: 10_000 })
    const ids = async () => (await store.query('select id from evt.outbox order by seq')).rows.map((row) => row.id)
    return { store, publisher, ids }
  }
  const note = (text: unknown) => ({ type: 'note.written', data: { text }, subject: 'note/1' })

  test('publishes in the transaction of the caller and fills in what is left out', async () => {
    const { store, publisher, ids } = await open()
    const given = await store.transaction((sql) => publisher.publish(sql, [note('a'), { ...note('b'), id: 'mine' }]))
    expect(given[1]).toBe('mine')
    expect(await ids()).toEqual(given)
    const { rows } = await store.query(
      'select source, version, priority, data::text from evt.outbox order by seq limit 1',
    )
    expect(rows[0]).toEqual({ source: 'test', version: 1, priority: 'normal', data: '{"text":"a"}' })
  })

  test('throws for an event that does not fit, and nothing of the call is there', async () => {
    const { store, publisher, ids } = await open()
    const bad = store.transaction((sql) => publisher.publish(sql, [note('a'), note(1)]))
    await expect(bad).rejects.toMatchObject({ code: 'contract', message: expect.stringContaining('data.text') })
    const unknown = publisher.publish(store, [{ type: 'no.such', data: {} }])
    await expect(unknown).rejects.toMatchObject({ code: 'unknown-type' })
    expect(await ids()).toEqual([])
  })

  test('refuses what is too large and names the size, in bytes and not in characters', async () => {
    const { store, publisher, ids } = await open()
    const size = JSON.stringify({ text: 'ü'.repeat(5_000) }).length + 5_000
    await expect(publisher.publish(store, [note('ü'.repeat(5_000))])).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringContaining(`${size} bytes`),
    })
    await publisher.publish(store, [note('u'.repeat(5_000))])
    expect(await ids()).toHaveLength(1)
  })

  test('publishes many in batches of its own, in order', async () => {
    const { publisher, ids } = await open()
    async function* many() {
      for (let n = 0; n < 2_500; n += 1) yield note(String(n))
    }
    const given = await publisher.publishAll(many())
    expect(given).toHaveLength(2_500)
    expect(await ids()).toEqual(given)
  })
})
