// Commit → handled, sustained: a bridge (relay and handlers) and a producer that commits batches, on the same cores. The
// order of every subject is checked; every event's effect is counted. The steady cases commit 1,000 events a second in batches of ten
// and look at how long each takes, by hops. `node bench/handling.ts [seconds=6] [case …]`
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { argv, stdout } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Bridge, createBridge } from '../src/bridge.ts'
import { encodeEvent } from '../src/core/codec.ts'
import { decodeHistogram, type Histogram } from '../src/core/histogram.ts'
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

const steady = { ratePerSecond: 1_000, batchSize: 10, p50Ms: 5, p99Ms: 20 } as const

async function produce(url: string, pace: 'full' | 'steady'): Promise<void> {
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
  const size = pace === 'steady' ? steady.batchSize : batchSize
  const started = performance.now()
  while (running) {
    const earlyMs = pace === 'steady' ? (sent * 1_000) / steady.ratePerSecond - (performance.now() - started) : 0
    if (earlyMs > 0 || sent - handled > mostAhead) {
      await delay(Math.max(1, earlyMs))
      continue
    }
    const from = sent
    await publishEncoded(
      store,
      Array.from({ length: size }, (_, i) => next(from + i)),
    )
    sent += size
  }
  await store.close()
  process.send?.(sent)
}

interface Case {
  readonly title: string
  /** Events a second at least; `steady`: at the pace and within the times of the steady cases. */
  readonly floor: number | 'steady'
  readonly handler: Omit<HandlerDefinition, 'name' | 'on' | 'handle'>
  readonly effect: boolean
  readonly pinned?: boolean
  /** The relay carries the log to it, and the handler reads it there. */
  readonly broker?: () => Promise<PrivateBroker>
  /** Serves metrics, and is asked for them every second. */
  readonly scraped?: boolean
}

const cases: Readonly<Record<string, Case>> = {
  noop: { title: 'noop', floor: 40_000, handler: { transaction: 'none' }, effect: false },
  scraped: {
    title: 'noop, metrics asked for every second',
    floor: 40_000,
    handler: { transaction: 'none' },
    effect: false,
    scraped: true,
  },
  grouped: { title: 'one-row effect, grouped', floor: 20_000, handler: {}, effect: true },
  pinned: {
    title: 'one-row effect, grouped, a snapshot held open',
    floor: 16_000,
    handler: {},
    effect: true,
    pinned: true,
  },
  steady: { title: 'noop', floor: 'steady', handler: { transaction: 'none' }, effect: false },
  'redis-steady': {
    title: 'noop, over Redis',
    floor: 'steady',
    handler: { transaction: 'none' },
    effect: false,
    broker: startPrivateRedis,
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
  'redis-grouped': {
    title: 'one-row effect, grouped, over Redis',
    floor: 15_000,
    handler: {},
    effect: true,
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
  // PostgreSQL's own default: with two-phase commits writers may not notify, and the relay looks every few milliseconds instead.
  await using server = await startPrivateServer({
    version: 18,
    durable: true,
    settings: ['max_prepared_transactions=0'],
  })
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
  const http = one.scraped ? { port: 0 } : undefined
  const bridge = createBridge({
    store: server.socketUrl,
    handlers: [handler],
    registry: createRegistry([]),
    http,
    ...over,
  })
  await bridge.start()
  const scraping = setInterval(async () => {
    if (bridge.httpUrl) await (await fetch(new URL('/metrics', bridge.httpUrl))).text()
  }, 1_000)
  const pace = one.floor === 'steady' ? 'steady' : 'full'
  const producer = fork(new URL(import.meta.url), ['produce', server.socketUrl, pace])
  const tell = setInterval(() => {
    if (producer.connected) producer.send(seen.count, () => {})
  }, 5)
  // Sustained: code is compiled, connections, caches and a backlog are there.
  await delay(warmUpMs)
  const from = { handled: handledBy(bridge), at: performance.now(), hops: hopsOf(bridge) }
  await delay(seconds * 1_000)
  const rate = Math.round((handledBy(bridge) - from.handled) / ((performance.now() - from.at) / 1_000))
  const hops = hopsOf(bridge).map(([name, now], i) => [name, now.subtract(from.hops[i]?.[1] ?? now)] as const)
  clearInterval(tell)
  clearInterval(scraping)
  producer.send('stop')
  const [sent] = (await once(producer, 'message')) as [number]
  while (handledBy(bridge) < sent) await delay(10)
  await bridge.stop()
  await broker?.stop()
  const effects = one.effect ? Number((await store.query('select count(*)::int as n from effects')).rows[0]?.n) : sent
  const misordered = one.effect ? await misorderedEffects(store) : seen.misordered
  await pin.end()
  await store.close()
  const isRight = effects === sent && misordered === 0
  const counts = `${sent} sent, ${effects - sent} effects too many, ${misordered} out of order`
  return one.floor === 'steady' ? steadyVerdict() : fullVerdict(one.floor)

  function fullVerdict(floor: number): string {
    const verdict = isRight && rate >= floor ? 'ok' : 'NOT MET'
    const p99 = ms(hops[0]?.[1].percentile(0.99))
    return `${one.title}: ${rate.toLocaleString('en')}/s (floor ${floor.toLocaleString('en')}) ${verdict}; ${counts}, p99 ${p99} ms with ${mostAhead} ahead\n`
  }

  function steadyVerdict(): string {
    const [p50 = Infinity, p99 = Infinity] = [0.5, 0.99].map((q) => (hops[0]?.[1].percentile(q) ?? Infinity) / 1_000)
    const verdict = isRight && p50 < steady.p50Ms && p99 < steady.p99Ms ? 'ok' : 'NOT MET'
    const each = hops.map(([name, hop]) => `${name} ${ms(hop.percentile(0.5))} / ${ms(hop.percentile(0.99))}`)
    return `${one.title}: ${rate.toLocaleString('en')}/s, p50 / p99 in ms ${verdict} (goal ${steady.p50Ms} / ${steady.p99Ms}): ${each.join(', ')}; ${counts}\n`
  }
}

const ms = (us: number | undefined) => ((us ?? 0) / 1_000).toFixed(1)

/** From the first word of the store about an event to its effect, and the parts of that. */
function hopsOf(bridge: Bridge): readonly (readonly [name: string, histogram: Histogram])[] {
  const { handlers, sinks, stages } = bridge.stats()
  const texts = { 'end to end': handlers[0]?.endToEnd, ...stages, 'of deliver, to the sink': sinks?.[0]?.latency }
  return Object.entries(texts).flatMap(([name, text]) => (text ? [[name, decodeHistogram(text)] as const] : []))
}

const [, , first = '6', ...names] = argv
if (first === 'produce') await produce(names[0] ?? '', names[1] === 'steady' ? 'steady' : 'full')
else {
  for (const name of names.length > 0 ? names : Object.keys(cases)) {
    const one = cases[name]
    const said = one ? await measure(one, Number(first)) : ''
    if (said.includes('NOT MET')) process.exitCode = 1
    stdout.write(said)
  }
}
process.exit()
