// How fast Redis takes and gives through evt, beside the bare driver on the same server in the same run: the same entries, as durable.
//   node bench/redis.ts [seconds=3] [lanes=4] [rounds=3]
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { encodeMeta } from '../src/transports/redis/wire.ts'
import { openTransport } from '../src/transports/registry.ts'
import type { Lane, Message, Transport } from '../src/transports/transport.ts'
import { startPrivateRedis } from '../test/setup/private-redis.ts'

const seconds = Number(process.argv[2] ?? 3)
const laneCount = Number(process.argv[3] ?? 4)
const roundCount = Number(process.argv[4] ?? 3)
const batchSize = 500
const subjects = 1_000
const inFlight = 4
const signal = new AbortController().signal

let made = 0
function messages(): readonly (Message & { log: bigint })[] {
  return Array.from({ length: batchSize }, () => {
    made++
    const id = `01936b2e-7c00-7000-8000-${String(made).padStart(12, '0')}`
    const subject = `subject/${made % subjects}`
    const headers = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-type': 'bench.happened',
      'ce-source': 'bench',
      'ce-time': '2026-11-21T08:00:00.000Z',
      'ce-subject': subject,
    }
    return {
      id,
      key: subject,
      headers,
      body: Buffer.from(`{"n":${made},"filler":"${'x'.repeat(100)}"}`),
      log: BigInt(made),
    }
  })
}

type Batch = readonly (Message & { log: bigint })[]
/** UUIDs that grow, as evt's own do, or in no order. */
const growing = (n: number) => `01936b2e-7c00-7000-8000-${String(n).padStart(12, '0')}`
const ids = { growing, random: () => randomUUID() }

interface Work {
  /** Does one batch. */
  readonly work: (batch: Batch) => Promise<unknown>
  readonly idOf?: (n: number) => string
}

/** Events a second. Batches are made beforehand: that is not what is measured. */
async function rate({ work, idOf = ids.growing }: Work) {
  const pool = Array.from({ length: 200 }, messages)
  let next = 0
  const started = performance.now()
  const loop = async () => {
    while (performance.now() - started < seconds * 1_000) {
      // Ids and positions go on, as in life: only headers and bodies are used again.
      const batch = (pool[next++ % pool.length] ?? []).map((one) => {
        made++
        return { ...one, id: idOf(made), log: BigInt(made) }
      })
      await work(batch)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return Math.round((next * batchSize * 1_000) / (performance.now() - started))
}

async function bareAdd(redis: Redis, stream: string): Promise<number> {
  const work = async (batch: Batch) => {
    const pipeline = redis.pipeline()
    for (const one of batch) pipeline.xadd(stream, '*', 'evt', encodeMeta(one), 'body', one.body as Buffer)
    await pipeline.exec()
  }
  return rate({ work })
}

async function publish(transport: Transport, topic: string, idOf: Work['idOf'] = ids.growing): Promise<number> {
  await transport.ensure([{ name: topic, lanes: laneCount }], 'create')
  return rate({ work: (batch) => transport.publish(topic, batch, signal), idOf })
}

async function append(transport: Transport, topic: string): Promise<number> {
  await transport.ensure([{ name: topic, lanes: laneCount }], 'create')
  const log = await transport.openLog?.(topic, 1n)
  // It sends one after the other; the next is made meanwhile, as the relay reads its next page.
  return rate({ work: async (batch) => log?.append(batch, batch.at(-1)?.log ?? 0n, signal) })
}

async function bareRead(redis: Redis, stream: string): Promise<number> {
  await redis.xgroup('CREATE', stream, 'bare', '0')
  let count = 0
  const started = performance.now()
  for (;;) {
    const reply = await redis.xreadgroupBuffer('GROUP', 'bare', 'c', 'COUNT', batchSize, 'STREAMS', stream, '>')
    const entries = (reply as unknown as [Buffer, [Buffer, Buffer[]][]][] | null)?.[0]?.[1] ?? []
    if (entries.length === 0) break
    for (const [, fields] of entries) JSON.parse(fields[1]?.toString() ?? '')
    await redis.xack(stream, 'bare', ...entries.map(([id]) => id))
    count += entries.length
  }
  return Math.round((count * 1_000) / (performance.now() - started))
}

async function take(transport: Transport, topic: string, total: number): Promise<number> {
  const ending = new AbortController()
  let count = 0
  const started = performance.now()
  let ended = started
  const drain = async (lane: Lane) => {
    while (!ending.signal.aborted) {
      const batch = await lane.take(batchSize, ending.signal)
      count += batch.length
      await lane.settle(batch)
      ended = performance.now()
      if (count >= total) ending.abort()
    }
    await lane.release()
  }
  const options = { prefetch: 1_000, patterns: [], start: 'earliest', lanes: laneCount, member: 'bench' } as const
  const running: Promise<void>[] = []
  for await (const lane of transport.lanes?.([topic], 'bench', { ...options, signal: ending.signal }) ?? [])
    running.push(drain(lane))
  await Promise.all(running)
  return Math.round((count * 1_000) / (ended - started))
}

// No rewriting of the append-only file, which begins when it likes and takes a core.
const server = await startPrivateRedis({ args: ['--auto-aof-rewrite-percentage', '0'] })
const redis = new Redis(server.url)
const transport = await openTransport(server.url)
const forgetful = await openTransport(`${server.url}?window=0`)
const rounds: Record<string, number>[] = []
for (let round = 0; round < roundCount; round++) {
  const name = (what: string) => `${what}${round}`
  await redis.flushall()
  const xadd = await bareAdd(redis, name('bare'))
  const xread = await bareRead(redis, name('bare'))
  await redis.flushall()
  const published = await publish(transport, name('growing'))
  await redis.flushall()
  const random = await publish(transport, name('random'), ids.random)
  await redis.flushall()
  const windowless = await publish(forgetful, name('windowless'))
  await redis.flushall()
  const stored = name('stored')
  const appended = await append(transport, stored)
  const streams = Array.from({ length: laneCount }, (_, i) => (laneCount === 1 ? stored : `${stored}:${i}`))
  const lengths = await Promise.all(streams.map((stream) => redis.xlen(stream)))
  const total = lengths.reduce((a, b) => a + b, 0)
  const taken = await take(transport, stored, total)
  rounds.push({ xadd, published, random, windowless, appended, xread, taken })
  process.stdout.write(`${JSON.stringify(rounds.at(-1))}\n`)
}
const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
/** Beside what the bare driver did in the same round. */
function line(what: string, name: string, to: string, goal = ''): string {
  const ratios = rounds.map((round) => (round[name] ?? 0) / (round[to] ?? 1))
  return `${what} ${middle(rounds.map((round) => round[name] ?? 0))}/s, ${middle(ratios).toFixed(2)} of ${to}${goal}\n`
}
process.stdout.write(
  `bare pipelined XADD (xadd) ${middle(rounds.map(({ xadd = 0 }) => xadd))}/s, XREADGROUP and XACK (xread) ${middle(rounds.map(({ xread = 0 }) => xread))}/s\n` +
    line('publish', 'published', 'xadd', ' (goal 1.2)') +
    line('publish, ids in no order', 'random', 'xadd') +
    line('publish, no duplicate window', 'windowless', 'xadd') +
    line('append', 'appended', 'xadd', ' (goal 1.2)') +
    line('take and settle', 'taken', 'xread', ' (goal 0.7)'),
)
await forgetful.close()
await transport.close()
redis.disconnect()
await server.stop()
