import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { Store } from '../../src/store/connection.ts'
import { rebase } from '../../src/store/rebase.ts'
import { createTestDatabase } from '../setup/database.ts'
import { describeWith, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

/** The store as it was after three events: what a backup has, while the sink has more. */
const asBefore = `
  alter table evt.outbox disable trigger refuse_change;
  alter table evt.log disable trigger refuse_change;
  delete from evt.outbox o using evt.log l where l.seq = o.seq and l.position > 3;
  delete from evt.log where position > 3;
  alter table evt.outbox enable trigger refuse_change;
  alter table evt.log enable trigger refuse_change;
  update evt.ticks set head = least(head, 3);
  update evt.sinks set position = 3;
  update evt.handler_places set position = least(position, 3);
  delete from evt.inbox where event_id like 'lost-%'`

describeWith('redis', 'a sink that has more than the store after a restore', () => {
  it('takes what comes behind a rebase, and its handlers too', async () => {
    const { store } = await createTestDatabase({ max: 20 })
    const handled: string[] = []
    const url = await serverUrl('redis')
    const start = async () => {
      const handler = defineHandler({
        name: 'test.restored',
        on: ['thing.*'],
        start: 'earliest',
        handle: async (event) => void handled.push(event.id),
      })
      const sink = { name: 'out', url, topic: `restored-${topic}`, lanes: 2, start: 'earliest' } as const
      const bridge = createBridge({ store, handlers: [handler], sinks: [sink], consume: 'out', grace: '2s' })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      return bridge
    }
    const topic = randomUUID().slice(0, 8)
    const first = await start()
    for (const id of ['a', 'b', 'c', 'lost-1', 'lost-2']) await publish(store, id)
    await until(() => handled.length === 5, { withinMs: 10_000 })
    await first.stop()

    await store.query(asBefore)
    for (const id of ['new-1', 'new-2', 'new-3']) await publish(store, id)
    await rebase(store, 2_000_000n)
    await start()
    await until(() => handled.includes('new-3'), { withinMs: 10_000 })
    expect(handled.slice(5)).toEqual(['new-1', 'new-2', 'new-3'])
  })
})

const publish = (store: Store, id: string) => store.query(`select evt.publish('thing.done', '{}', 's', id => $1)`, [id])
