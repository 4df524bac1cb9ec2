// A bridge in a process of its own that is killed while its handler moves: `BRIDGE` says what it reads.
import { setTimeout as delay } from 'node:timers/promises'
import { createBridge } from '../src/bridge.ts'
import { defineHandler } from '../src/handle/define-handler.ts'

const { url, sinks, consume, delayMs } = JSON.parse(process.env.BRIDGE ?? '{}')
const handler = defineHandler({
  name: 'test.effects',
  on: ['thing.*'],
  concurrency: 2,
  async handle(event, { sql }) {
    await delay(delayMs)
    const { n } = event.data as { n: number }
    await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
  },
})
const bridge = createBridge({
  store: url,
  // The one that was killed is known by its name.
  instance: 'moving',
  handlers: [handler],
  sinks,
  ...(consume === 'log' ? {} : { consume }),
})
await bridge.start()
