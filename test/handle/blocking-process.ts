// A bridge in a process of its own, one of whose handlers ends that process for one subject.
import { argv, exit } from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'

const [, , store = '', how = ''] = argv
const registry = createRegistry([defineEvent('thing.made', { 1: z.object({ n: z.number() }) })])
const handler = defineHandler({
  name: 'test.blocking',
  on: ['thing.*'],
  start: 'earliest',
  retry: { attempts: 2, initial: '10ms' },
  async handle(event, ctx) {
    if (event.subject === 'poison') {
      if (how === 'rejects') void Promise.reject(new Error('nobody waits for me'))
      else if (how === 'hoards') for (const hoard: number[][] = []; ; await turn()) hoard.push(Array(250_000).fill(0.5))
      else for (;;);
    }
    await ctx.sql`insert into effects values (${event.subject})`
  },
})
// Who collects garbage without end stands still too.
const watchdog = how === 'hoards' ? '30s' : '600ms'
const bridge = createBridge({ store, registry, handlers: [handler], watchdog })
bridge.start().catch(() => exit(1))
