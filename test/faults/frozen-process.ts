// A bridge of its own process whose handler never ends by itself: `node frozen-process.ts <url> <instance>`. Prints `ready`
// when its handler has written its effect and waits, in the middle of its transaction.
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'

const [url = '', instance = ''] = process.argv.slice(2)

const handler = defineHandler({
  name: 'faults.frozen',
  on: ['fault.*'],
  start: 'earliest',
  timeout: '5m',
  async handle(event, ctx) {
    await ctx.sql`insert into faults.effects (handler, event_id, subject, sequence, instance, attempt)
      values ('faults.frozen', ${event.id}, ${event.subject}, 0, ${instance}, ${ctx.attempt})`
    process.stdout.write('ready\n')
    await new Promise((resolve) => setTimeout(resolve, 3000))
  },
})

const bridge = createBridge({
  store: url,
  handlers: [handler],
  registry: createRegistry([]),
  instance,
  roles: ['handlers'],
})
await bridge.start()
