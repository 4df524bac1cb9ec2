// A bridge whose handler reads a sink, in a process of its own that is killed: `BRIDGE` says which.
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'

const { url, sink, instance } = JSON.parse(process.env.BRIDGE ?? '{}')
const failed = new Set<string>()
const handler = defineHandler({
  name: 'test.effects',
  on: ['*'],
  start: 'earliest',
  retry: { attempts: 20, initial: '5ms', max: '20ms' },
  // Its failures come for all subjects at once.
  breaker: false,
  async handle(event, { sql }) {
    const { n } = event.data as { n: number }
    if (n % 20 === 7 && !failed.has(event.id)) {
      failed.add(event.id)
      throw new Error('not yet')
    }
    await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
  },
})
const bridge = createBridge({
  store: url,
  instance,
  handlers: [handler],
  sinks: [sink],
  consume: sink.name,
  grace: '1s',
})
await bridge.start()
process.stdout.write('up\n')
