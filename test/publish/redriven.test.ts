import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { noted } from './noted.ts'

it('what a publisher gave up is published when it is replayed and its contract takes it now, and dead again when not', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  const publisher = createPublisher({ store, registry: createRegistry([noted]), source: 'test' })
  onTestFinished(() => publisher.close())
  await publisher.send({ id: 'one', type: 'note.written', subject: 'n/1', data: { text: 1 } })
  await publisher.send({ id: 'two', type: 'note.written', subject: 'n/1', data: { text: [] } })
  const { rows: dead } = await store.query('select id from evt.dead_letters')
  expect(dead).toHaveLength(2)
  const wider = defineEvent('note.written', { 1: z.object({ text: z.union([z.string(), z.number()]) }) })
  const bridge = createBridge({ store: url, registry: createRegistry([wider]), roles: ['relay'] })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  await replayDeadLetters(store, { ids: dead.map(({ id }) => String(id)), replayId: 'r', by: 'test' })
  await until(async () => (await replayOutcome(store, 'r')).pending === 0)
  expect(await replayOutcome(store, 'r')).toMatchObject({ handled: 1, deadAgain: [{ count: 1 }] })
  const { rows } = await store.query('select id, data::text as data, subject from evt.outbox')
  expect(rows).toEqual([{ id: 'one', data: '{"text":1}', subject: 'n/1' }])
  const states = await store.query('select event_id as id, status from evt.dead_letters order by event_id')
  expect(states.rows).toEqual([
    { id: 'one', status: 'replayed' },
    { id: 'two', status: 'open' },
  ])
})
