// A bridge of its own process, to be killed: `node bridge-process.ts <BridgeProcessOptions>`. Says `loaded`, waits for a
// line on stdin, starts, says `ready`; says `fenced` when it finds that another relay leads. Ends with its parent.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'

export interface BridgeProcessOptions {
  readonly url: string
  readonly instance: string
  readonly roles: readonly ('relay' | 'handlers')[]
  /** Every event that `faults.exiting` begins is a line here: it outlives the process. */
  readonly attemptsFile: string
  /** Of `faults.exiting`: its workers, and the event that ends the process, counted from its first one. */
  readonly concurrency: number
  readonly dieAt: number
  /** URL that `faults.mailer` asks for each event, and tells who asks. Then it says `open` and `closed` of its breaker. */
  readonly downstream?: string
  /** A broker: the relay carries the log to it, and handlers read it there. */
  readonly sink?: { readonly url: string; readonly topic: string; readonly lanes: number }
}

const options = JSON.parse(process.argv[2] ?? '{}') as BridgeProcessOptions
const { instance } = options
const retry = { attempts: 5, initial: '20ms', max: '200ms' } as const

const happened = defineEvent('fault.happened', { 1: z.object({ sequence: z.number(), flaky: z.boolean() }) })
const exiting = defineEvent('fault.exit', { 1: z.object({ sequence: z.number() }) })

const say = (word: string) => void process.stdout.write(`${word}\n`)

const effect = (
  handler: string,
  event: { id: string; subject?: string; data: { sequence: number } },
  attempt: number,
) => [handler, event.id, event.subject ?? '', event.data.sequence, instance, attempt] as const
const insert =
  'insert into faults.effects (handler, event_id, subject, sequence, instance, attempt) values ($1, $2, $3, $4, $5, $6)'

const guiltyFile = `${options.attemptsFile}.guilty`
let guilty = existsSync(guiltyFile) ? readFileSync(guiltyFile, 'utf8') : undefined
let begun = 0

/** Chosen by when it is begun, so that others of its batch were begun before it. */
function endsProcess(id: string): boolean {
  appendFileSync(options.attemptsFile, `${id}\n`)
  begun += 1
  if (guilty === undefined && begun === options.dieAt) {
    guilty = id
    writeFileSync(guiltyFile, id)
  }
  return id === guilty
}

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
    concurrency: options.concurrency,
    retry,
    async handle(event, ctx) {
      if (endsProcess(event.id)) process.exit(7)
      await ctx.sql.query(insert, effect('faults.exiting', event, ctx.attempt))
    },
  }),
]

const { downstream } = options
if (downstream !== undefined)
  handlers.push(
    defineHandler({
      name: 'faults.mailer',
      on: [happened],
      start: 'earliest',
      async handle(event, ctx) {
        await fetch(`${downstream}/${instance}`, { method: 'POST', signal: ctx.signal })
        await ctx.sql.query(insert, effect('faults.mailer', event, ctx.attempt))
      },
    }),
    defineHandler({
      name: 'faults.poisoned',
      on: ['fault.poison'],
      start: 'earliest',
      retry: { attempts: 3, initial: '20ms', max: '20ms' },
      handle({ subject }) {
        if (subject === 'hot') throw new Error('poison')
      },
    }),
  )

const said: Readonly<Record<string, string>> = {
  'another relay leads': 'fenced',
  'a circuit breaker is open: the handler waits': 'open',
  'a circuit breaker opened: the handler waits, and nothing of it becomes a dead letter': 'open',
  'a circuit breaker closed: the handler goes on': 'closed',
}
const tell = (message: string) => said[message] !== undefined && say(said[message])

const bridge = createBridge({
  store: options.url,
  handlers,
  registry: createRegistry([happened, exiting]),
  instance,
  roles: options.roles,
  ...(options.sink ? { sinks: [{ name: 'broker', start: 'earliest', ...options.sink }], consume: 'broker' } : {}),
  log: {
    debug() {},
    info: tell,
    warn: tell,
    error: (message, facts) => tell(message) || process.stderr.write(`${message} ${JSON.stringify(facts ?? {})}\n`),
  },
})
process.stdin.on('end', () => process.exit(0))
process.on('SIGTERM', () => void bridge.stop().then(() => process.exit(0)))
say('loaded')
process.stdin.once('data', async () => {
  await bridge.start()
  say('ready')
})
