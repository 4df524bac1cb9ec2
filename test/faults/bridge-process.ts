// A bridge of its own process, to be killed: `node bridge-process.ts <url> <instance> <roles>`. Prints `ready` when it runs.
import { appendFileSync } from 'node:fs'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'

const [url = '', instance = '', roles = 'relay,handlers', attemptsFile = ''] = process.argv.slice(2)
const retry = { attempts: 5, initial: '20ms', max: '200ms' } as const

const happened = defineEvent('fault.happened', { 1: z.object({ sequence: z.number(), flaky: z.boolean() }) })
const exiting = defineEvent('fault.exit', { 1: z.object({ sequence: z.number(), kills: z.boolean() }) })

const note = (handler: string, id: string) => {
  if (attemptsFile !== '') appendFileSync(attemptsFile, `${handler} ${id}\n`)
}

const effect = (
  handler: string,
  event: { id: string; subject?: string; data: { sequence: number } },
  attempt: number,
) => [handler, event.id, event.subject ?? '', event.data.sequence, instance, attempt] as const
const insert =
  'insert into faults.effects (handler, event_id, subject, sequence, instance, attempt) values ($1, $2, $3, $4, $5, $6)'

const handlers = [
  defineHandler({
    name: 'faults.ledger',
    on: [happened],
    start: 'earliest',
    retry,
    async handle(event, ctx) {
      await ctx.sql.query(insert, effect('faults.ledger', event, ctx.attempt))
    },
  }),
  defineHandler({
    name: 'faults.flaky',
    on: [happened],
    start: 'earliest',
    retry,
    async handle(event, ctx) {
      await ctx.sql.query(insert, effect('faults.flaky', event, ctx.attempt))
      if (event.data.flaky && ctx.attempt === 1) throw new Error('the first attempt fails')
    },
  }),
  defineHandler({
    name: 'faults.exiting',
    on: [exiting],
    start: 'earliest',
    retry,
    async handle(event, ctx) {
      note('faults.exiting', event.id)
      if (event.data.kills) process.exit(7)
      await ctx.sql.query(insert, effect('faults.exiting', event, ctx.attempt))
    },
  }),
]

const bridge = createBridge({
  store: url,
  handlers,
  registry: createRegistry([happened, exiting]),
  instance,
  roles: roles.split(',') as ('relay' | 'handlers')[],
})
await bridge.start()
process.stdout.write('ready\n')
process.on('SIGTERM', () => void bridge.stop().then(() => process.exit(0)))
