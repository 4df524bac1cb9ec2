import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { encodeEvent } from '../../src/core/codec.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { eventOf } from '../handle/running.ts'
import { bareKafka } from '../setup/bare-kafka.ts'
import { createTestDatabase } from '../setup/database.ts'
import { type PrivateKafka, startPrivateKafka } from '../setup/private-kafka.ts'
import { until } from '../setup/until.ts'
import { readLogIds } from './sinking.ts'

let kafka: PrivateKafka
let topic = ''
beforeAll(async () => {
  kafka = await startPrivateKafka()
}, 120_000)
afterAll(() => kafka?.stop(), 60_000)
beforeEach(() => {
  topic = `t${randomUUID().slice(0, 8)}`
})

/** Four partitions that take only small messages. */
async function createSmallTopic(): Promise<void> {
  const admin = bareKafka(kafka.port).admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: '20000' }]
  await admin.createTopics({ topics: [{ topic, numPartitions: 4, configEntries }], waitForLeaders: true })
  await admin.disconnect()
}

async function storeWithEffects() {
  const { store } = await createTestDatabase({ max: 20 })
  await store.query('create table effects (at bigint generated always as identity, id text)')
  const handler = defineHandler({
    name: 'test.effects',
    on: ['*'],
    start: 'earliest',
    handle: async (event, { sql }) => void (await sql.query('insert into effects (id) values ($1)', [event.id])),
  })
  const sinks = [{ name: 'out', url: kafka.url, topic, lanes: 4, start: 'earliest' as const }]
  const bridge = createBridge({ store, handlers: [handler], sinks, consume: 'out', grace: '2s' })
  onTestFinished(() => bridge.stop())
  const handled = async () => (await store.query('select id from effects order by at')).rows.map(({ id }) => String(id))
  return { store, bridge, handled }
}

describe('a sink to Kafka', () => {
  it('brings all events without a subject to the handlers but the one that the topic refuses', async () => {
    await createSmallTopic()
    const { store, bridge, handled } = await storeWithEffects()
    const events = Array.from({ length: 30 }, (_, i) =>
      eventOf({ type: 'thing.made', data: { text: i === 13 ? 'x'.repeat(30_000) : '' } }),
    )
    await publishEncoded(store, events.map(encodeEvent))
    await bridge.start()
    await until(async () => (await handled()).length >= 29, { withinMs: 20_000 })
    const expected = (await readLogIds(store)).filter((id) => id !== events[13]?.id)
    expect((await handled()).toSorted()).toEqual(expected.toSorted())
    expect((await store.query('select event_id from evt.dead_letters')).rows).toEqual([{ event_id: events[13]?.id }])
  }, 90_000)

  it('whose topic another store wrote to before has its events handled too', async () => {
    const former = await storeWithEffects()
    const many = Array.from({ length: 20 }, () => eventOf({ type: 'thing.made', subject: 's' }))
    await publishEncoded(former.store, many.map(encodeEvent))
    await former.bridge.start()
    await until(async () => (await former.handled()).length === 20, { withinMs: 20_000 })
    await former.bridge.stop()
    const { store, bridge, handled } = await storeWithEffects()
    const few = Array.from({ length: 5 }, () => eventOf({ type: 'thing.made', subject: 's' }))
    await publishEncoded(store, few.map(encodeEvent))
    await bridge.start()
    const ids = new Set(few.map(({ id }) => id))
    await until(async () => (await handled()).filter((id) => ids.has(id)).length === 5, { withinMs: 20_000 })
  }, 90_000)
})
