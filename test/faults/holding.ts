// A consumer that does not get on while others publish as fast as they can: what it holds, and what memory that takes.
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { encodeEvent } from '../../src/core/codec.ts'
import { openStore } from '../../src/store/connection.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Message } from '../../src/transports/transport.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { until } from '../setup/until.ts'
import type { BridgeProcessOptions } from './bridge-process.ts'
import type { ConsumerProcessOptions, ConsumerState } from './consumer-process.ts'
import { startProcess } from './processes.ts'

const lanes = 4
const batchSize = 200

export interface HoldOptions {
  readonly broker: PrivateBroker
  /** Of a migrated store: its relay carries what is committed to the broker, and handlers read it there. Without it, the transport alone. */
  readonly store?: string
  /** It stands still for so long, and until `leastBytes` of bodies are in the broker. */
  readonly seconds: number
  readonly leastBytes: number
  /** Then nothing more is published while the time goes by. */
  readonly mostBytes: number
  readonly bodyBytes: number
  /** A lane's, of the transport alone. */
  readonly prefetch: number
  /** How long it goes on afterwards, at most until it has everything. */
  readonly goOnSeconds: number
}

export interface Held {
  readonly published: number
  readonly settled: number
  readonly mostUnsettled: number
  /** Resident, in MiB: when it had begun what it may; at most while it stood still; at most when it went on; at the end. */
  readonly beforeMiB: number
  readonly duringMiB: number
  readonly afterMiB: number
  readonly endMiB: number
}

/** Holds a consumer still for so long while there is published at full rate, and lets it go on. */
export async function holdConsumer(options: HoldOptions): Promise<Held> {
  const topic = `held-${randomUUID().slice(0, 8)}`
  const { broker, store } = options
  await using relay = store === undefined ? undefined : await startRelay(broker.url, store, topic)
  await using consumer = await startConsumer({ ...consumerOf(options), topic, hold: true })
  const publish = store === undefined ? await publishTo(broker.url, topic) : await commitTo(store)
  const body = 'x'.repeat(options.bodyBytes)
  try {
    let published = await publish.batch(body)
    await until(() => (consumer.state?.unsettled ?? 0) > 0, {
      withinMs: 30_000,
      what: 'a consumer that holds something',
    })
    const before = consumer.peak()
    const end = performance.now() + options.seconds * 1_000
    while (performance.now() < end || published * options.bodyBytes < options.leastBytes) {
      if (published * options.bodyBytes >= options.mostBytes) await wait(50)
      else published += await publish.batch(body)
      relay?.assertRuns()
    }
    if (options.leastBytes > 0) await publish.carried()
    const during = consumer.peak()
    const { mostUnsettled = 0 } = consumer.state ?? {}
    consumer.go()
    const last = performance.now() + options.goOnSeconds * 1_000
    while (performance.now() < last && (consumer.state?.settled ?? 0) < published) await wait(50)
    const after = consumer.peak()
    const { settled = 0, residentMiB = 0 } = consumer.state ?? {}
    return {
      published,
      settled,
      mostUnsettled,
      beforeMiB: before,
      duringMiB: during,
      afterMiB: after,
      endMiB: residentMiB,
    }
  } finally {
    await publish.close()
  }
}

const consumerOf = ({ broker, store, prefetch }: HoldOptions) => ({
  url: broker.url,
  lanes,
  prefetch,
  ...(store === undefined ? {} : { store }),
})

async function startRelay(url: string, store: string, topic: string) {
  const options: BridgeProcessOptions = {
    url: store,
    instance: 'relay',
    roles: ['relay'],
    attemptsFile: '',
    concurrency: 1,
    dieAt: 0,
    sink: { url, topic, lanes },
  }
  const running = startProcess('bridge-process.ts', [JSON.stringify(options)])
  running.go()
  await running.ready
  return {
    assertRuns() {
      if (running.gone) throw new Error('the relay ended')
    },
    [Symbol.asyncDispose]: () => running.end('SIGKILL'),
  }
}

/** Runs one, and hears what it tells of itself. */
async function startConsumer(options: ConsumerProcessOptions) {
  const running = startProcess('consumer-process.ts', [JSON.stringify(options)])
  let state: ConsumerState | undefined
  let peakMiB = 0
  let rest = ''
  running.child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.filter((one) => one.startsWith('at '))) {
      state = JSON.parse(line.slice(3)) as ConsumerState
      peakMiB = Math.max(peakMiB, state.residentMiB)
    }
  })
  await running.ready
  return {
    get state() {
      if (running.gone) throw new Error('the consumer ended')
      return state
    },
    /** At most since it was last asked. */
    peak() {
      const most = peakMiB
      peakMiB = state?.residentMiB ?? 0
      return most
    },
    go: running.go,
    [Symbol.asyncDispose]: () => running.end('SIGKILL'),
  }
}

interface Publishing {
  /** Resolves when there is room for the next: how many were published. */
  batch(body: string): Promise<number>
  /** All of it is in the broker. */
  carried(): Promise<void>
  close(): Promise<void>
}

async function publishTo(url: string, topic: string): Promise<Publishing> {
  const transport = await openTransport(url, {})
  let made = 0
  const one = async (body: string) => {
    const bytes = Buffer.from(JSON.stringify(body))
    const messages = Array.from({ length: batchSize }, () => messageOf(made++, bytes))
    const results = await transport.publish(topic, messages, AbortSignal.timeout(60_000))
    return results.filter(({ state }) => state === 'stored').length
  }
  return {
    batch: async (body) => (await Promise.all([one(body), one(body), one(body), one(body)])).reduce((a, b) => a + b),
    carried: async () => {},
    close: () => transport.close(),
  }
}

function messageOf(n: number, body: Buffer): Message {
  const id = randomUUID()
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-type': 'held.up',
    'ce-source': 'faults',
    'ce-time': '2026-11-21T08:00:00.000Z',
    'content-type': 'application/json',
  }
  return { id, key: `s/${n % 100}`, headers, body }
}

async function commitTo(url: string): Promise<Publishing> {
  const store = await openStore(url, { applicationName: 'faults', max: 4 })
  let made = 0
  const one = async (body: string) => {
    const events = Array.from({ length: batchSize }, () => {
      made += 1
      return encodeEvent({
        id: randomUUID(),
        type: 'held.up',
        version: 1,
        source: 'faults',
        time: new Date().toISOString(),
        priority: 'normal',
        metadata: {},
        subject: `s/${made % 100}`,
        data: body,
      })
    })
    await publishEncoded(store, events)
    return batchSize
  }
  return {
    batch: async (body) => (await one(body)) + (await one(body)),
    async carried() {
      const ask = 'select position >= (select count(*) from evt.outbox) as carried from evt.sinks'
      const isCarried = async () => (await store.query(ask)).rows[0]?.carried === true
      await until(isCarried, { withinMs: 120_000, what: 'a relay that has carried everything' })
    },
    close: () => store.close(),
  }
}

export interface Pending {
  readonly count: number
  readonly bodyBytes: number
}

export interface Drained {
  readonly seconds: number
  readonly beforeMiB: number
  readonly peakMiB: number
}

/** B31: so many entries of a plain group that a dead consumer had and did not acknowledge. */
export async function drainPending(broker: PrivateBroker, { count, bodyBytes }: Pending): Promise<Drained> {
  const stream = `pending-${randomUUID().slice(0, 8)}`
  const redis = new Redis(broker.url)
  try {
    await leavePending(redis, stream, count, Buffer.alloc(bodyBytes, 'x'))
    const options = { url: broker.url, topic: stream, lanes: 1, prefetch: 500, hold: false, foreign: true }
    const started = performance.now()
    await using consumer = await startConsumer(options)
    const beforeMiB = consumer.peak()
    await until(() => (consumer.state?.settled ?? 0) >= count, {
      withinMs: 30_000 + count,
      what: 'all that was pending',
    })
    const seconds = (performance.now() - started) / 1_000
    await until(async () => ((await redis.xpending(stream, 'held')) as unknown[])[0] === 0, { what: 'nothing pending' })
    return { seconds, beforeMiB, peakMiB: consumer.peak() }
  } finally {
    await redis.unlink(stream)
    redis.disconnect()
  }
}

/** Read by `dead` long ago. */
async function leavePending(redis: Redis, stream: string, count: number, body: Buffer): Promise<void> {
  await redis.xgroup('CREATE', stream, 'held', '0', 'MKSTREAM')
  for (let left = count; left > 0; left -= 1_000) {
    const pipeline = redis.pipeline()
    for (let n = 0; n < Math.min(left, 1_000); n++) pipeline.xadd(stream, '*', 'data', body)
    await pipeline.exec()
    const reply = await redis.xreadgroup('GROUP', 'held', 'dead', 'COUNT', 1_000, 'STREAMS', stream, '>')
    const ids = ((reply as [string, [string, unknown][]][])[0]?.[1] ?? []).map(([id]) => id)
    await redis.call('XCLAIM', stream, 'held', 'dead', 0, ...ids, 'IDLE', 3_600_000, 'JUSTID')
  }
}
