import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createEventBus } from '../../src/event-bus.ts'
import { waitForEvents } from '../../src/testing.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'

for (const server of ['redis', 'kafka', 'rabbitmq'] as const) {
  describe.skipIf(!hasServer(server))(`waiting for events over ${server}`, () => {
    it(server === 'rabbitmq' ? 'finds what is published from then on' : 'finds what was published before', async () => {
      const bus = createEventBus({ url: await serverUrl(server), topic: `t${randomUUID().slice(0, 8)}`, lanes: 1 })
      await bus.start()
      try {
        await bus.publish({ type: 'user.created', data: { n: 1 } })
        const waiting = waitForEvents(bus, 'user.*', { within: '15s' })
        const later = setInterval(() => {
          if (server === 'rabbitmq') void bus.publish({ type: 'user.created', data: { n: 2 } })
        }, 50)
        const [event] = await waiting.finally(() => clearInterval(later))
        expect(event?.data).toEqual({ n: server === 'rabbitmq' ? 2 : 1 })
      } finally {
        await bus.stop()
      }
    })
  })
}
