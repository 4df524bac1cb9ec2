// Commit → handled, sustained: a bridge (relay and handlers) and a producer that commits batches, on the same cores. The
// order of every subject is checked; every event's effect is counted. `node bench/handling.ts [seconds=6] [case …]`
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { argv, stdout } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Bridge, createBridge } from '../src/bridge.ts'
import { encodeEvent } from '../src/core/codec.ts'
import { decodeHistogram } from '../src/core/histogram.ts'
import { createRegistry } from '../src/core/registry.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import { openStore, type Store } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { publishEncoded } from '../src/store/outbox.ts'
import { startPrivateKafka } from '../test/setup/private-kafka.ts'
import type { PrivateBroker } from '../test/setup/private-process.ts'
import { startPrivateRabbit } from '../test/setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../test/setup/private-redis.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const batchSize = 200
const subjects = 1_000
/** Committed and not handled, at most: the producer waits for the handlers, so that the rate is the system's. */
const mostAhead = 20_000
const warmUpMs = 3_000

async function produce(url: string): Promise<void> {
  const store = await openStore(url, { applicationName: 'evt bench producer', max: 2 })
  const sequences = new Array<number>(subjects).fill(0)
  let sent = 0
  let handled = 0
  let running = true
  process.on('message', (message: number | 'stop') => {
    if (message === 'stop') running = false
    else handled = message
  })
  const next = (n: number) => {
    const subject = n % subjects
    sequences[subject] = (sequences[subject] ?? 0) + 1
    const data = { n: sequences[subject], filler: 'x'.repeat(180) }
    const time = new Date().toISOString()
    const envelope = {
      type: 'bench.happened',
      version: 1,
      source: 'bench',
      time,
      priority: 'normal',
      metadata: {},
    } as const
    return encodeEvent({
      ...envelope,
      id: `bench-${process.pid}-${n}`,
      subject: `subject/${subject}`,
      sequence: sequences[subject] as number,
      data,
    })
  }
  while (running) {
    if (sent - handled > mostAhead) {
      await delay(1)
      continue
    }
    const from = sent
    await publishEncoded(
      store,
      Array.from({ length: batchSize }, (_, i) => next(from + i)),
    )
    sent += batchSize
  }
  await store.close()
  process.send?.(sent)
}

interface Case {
  readonly title: string
  readonly floor: number
  readonly handler: Omit<HandlerDefinition, 'name' | 'on' | 'handle'>
  readonly effect: boolean
  readonly pinned?: boolean
  /** The relay carries the log to it, and the handler reads it there. */
  readonly broker?: () => Promise<PrivateBroker>
}

const cases: Readonly<Record<string, Case>> = {
  noop: { title: 'noop', floor: 40_000, handler: { transaction: 'none' }, effect: false },
  grouped: { title: 'one-row effect, grouped', floor: 20_000, handler: {}, effect: true },
  pinned: {
    title: 'one-row effect, grouped, a snapshot held open',
    floor: 16_000,
    handler: {},
    effect: true,
    pinned: true,
  },
  singles: {
    title: 'one-row effect, a transaction each',
    floor: 5_000,
    handler: { transaction: 'event', concurrency: 16 },
    effect: true,
  },
  redis: {
    title: 'noop, over Redis',
    floor: 25_000,
    handler: { transaction: 'none' },
    effect: false,
    broker: startPrivateRedis,
  },
  kafka: {
    title: 'noop, over Kafka',
    floor: 0,
    handler: { transaction: 'none' },
    effect: false,
    broker: startPrivateKafka,
  },
  rabbitmq: {
    title: 'noop, over RabbitMQ',
    floor: 0,
    handler: { transaction: 'none' },
    effect: false,
    broker: startPrivateRabbit,
  },
}

function counting(one: Case): {
  readonly handler: HandlerDefinition
  readonly seen: { count: number; misordered: number }
} {
  const last = new Map<string, number>()
  const seen = { count: 0, misordered: 0 }
  const handler: HandlerDefinition = {
    name: 'bench.handler',
    on: ['bench.*'],
    start: 'earliest',
    ...one.handler,
    handle(event, ctx) {
      seen.count += 1
      if (one.effect)
        return ctx.sql`insert into effects (subject, sequence) values (${event.subject}, ${event.sequence})`.then(
          () => {},
        )
      if (event.sequence !== (last.get(event.subject ?? '') ?? 0) + 1) seen.misordered += 1
      last.set(event.subject ?? '', event.sequence ?? 0)
    },
  }
  return { handler, seen }
}

/** In the order of effects, each subject's sequence must go 1, 2, 3. */
async function misorderedEffects(store: Store): Promise<number> {
  const { rows } = await store.query(
    `select count(*)::int as n from (
       select sequence, row_number() over (partition by subject order by n) as expected from effects) e where sequence <> expected`,
  )
  return Number(rows[0]?.n)
}

const handledBy = (bridge: Bridge) => bridge.stats().handlers[0]?.handled ?? 0

async function measure(one: Case, seconds: number): Promise<string> {
  await using server = await startPrivateServer({ version: 18, durable: true })
  await migrateUp(server.socketUrl)
  const store = await openStore(server.socketUrl, { applicationName: 'evt bench' })
  await store.query(
    'create table effects (n bigint generated always as identity primary key, subject text, sequence bigint)',
  )
  const pin = new pg.Client({ connectionString: server.socketUrl })
  await pin.connect()
  if (one.pinned) await pin.query('begin isolation level repeatable read; select count(*) from evt.outbox')
  const { handler, seen } = counting(one)
  const broker = await one.broker?.()
  const over = broker
    ? { sinks: [{ name: 'bench', url: broker.url, topic: 'bench', start: 'earliest' } as const], consume: 'bench' }
    : {}
  const bridge = createBridge({ store: server.socketUrl, handlers: [handler], registry: createRegistry([]), ...over })
  await bridge.start()
  const producer = fork(new URL(import.meta.url), ['produce', server.socketUrl])
  const tell = setInterval(() => {
    if (producer.connected) producer.send(seen.count, () => {})
  }, 5)
  // Sustained: code is compiled, connections, caches and a backlog are there.
  await delay(warmUpMs)
  const from = { handled: handledBy(bridge), at: performance.now() }
  await delay(seconds * 1_000)
  const rate = Math.round((handledBy(bridge) - from.handled) / ((performance.now() - from.at) / 1_000))
  clearInterval(tell)
  producer.send('stop')
  const [sent] = (await once(producer, 'message')) as [number]
  while (handledBy(bridge) < sent) await delay(10)
  const sample = bridge.stats()
  const endToEnd = decodeHistogram(sample.handlers[0]?.endToEnd ?? '')
  await bridge.stop()
  await broker?.stop()
  const effects = one.effect ? Number((await store.query('select count(*)::int as n from effects')).rows[0]?.n) : sent
  const misordered = one.effect ? await misorderedEffects(store) : seen.misordered
  await pin.end()
  await store.close()
  const verdict = effects === sent && misordered === 0 && rate >= one.floor ? 'ok' : 'NOT MET'
  const p99 = ((endToEnd.percentile(0.99) ?? 0) / 1000).toFixed(0)
  return `${one.title}: ${rate.toLocaleString('en')}/s (floor ${one.floor.toLocaleString('en')}) ${verdict}; ${sent} sent, ${effects - sent} effects too many, ${misordered} out of order, p99 ${p99} ms with ${mostAhead} ahead\n`
}

const [, , first = '6', ...names] = argv
if (first === 'produce') await produce(names[0] ?? '')
else {
  for (const name of names.length > 0 ? names : Object.keys(cases)) {
    const one = cases[name]
    const said = one ? await measure(one, Number(first)) : ''
    if (said.includes('NOT MET')) process.exitCode = 1
    stdout.write(said)
  }
}
process.exit()
