// How fast Redis takes and gives through evt, beside the bare driver on the same server in the same run.
//   node bench/redis.ts [seconds=3] [lanes=4]
import { Redis } from 'ioredis'
import { openTransport } from '../src/transports/registry.ts'
import type { Lane, Message, Transport } from '../src/transports/transport.ts'
import { startPrivateRedis } from '../test/setup/private-redis.ts'

const seconds = Number(process.argv[2] ?? 3)
const laneCount = Number(process.argv[3] ?? 4)
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

/** Events a second of `work`, which does one batch. Batches are made beforehand: that is not what is measured. */
async function rate(work: (batch: readonly (Message & { log: bigint })[]) => Promise<unknown>, parallel = inFlight) {
  const pool = Array.from({ length: 200 }, messages)
  let next = 0
  const started = performance.now()
  const loop = async () => {
    while (performance.now() - started < seconds * 1_000) {
      // Ids and positions go on, as in life: only headers and bodies are used again.
      const batch = (pool[next++ % pool.length] ?? []).map((one) => {
        made++
        return { ...one, id: `${one.id.slice(0, 24)}${String(made).padStart(12, '0')}`, log: BigInt(made) }
      })
      await work(batch)
    }
  }
  await Promise.all(Array.from({ length: parallel }, loop))
  return Math.round((next * batchSize * 1_000) / (performance.now() - started))
}

async function bareAdd(redis: Redis, stream: string): Promise<number> {
  return rate(async (batch) => {
    const pipeline = redis.pipeline()
    for (const { id, key, headers, body } of batch)
      pipeline.xadd(stream, '*', 'evt', JSON.stringify({ id, key, headers }), 'body', Buffer.from(body))
    await pipeline.exec()
  })
}

async function publish(transport: Transport, topic: string): Promise<number> {
  await transport.ensure([{ name: topic, lanes: laneCount }], 'create')
  return rate((batch) => transport.publish(topic, batch, signal))
}

async function append(transport: Transport, topic: string): Promise<number> {
  await transport.ensure([{ name: topic, lanes: laneCount }], 'create')
  const log = await transport.openLog?.(topic, 1n)
  return rate(async (batch) => log?.append(batch, batch.at(-1)?.log ?? 0n, signal), 1)
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

const server = await startPrivateRedis()
const redis = new Redis(server.url)
const transport = await openTransport(server.url)
const rounds: Record<string, number>[] = []
for (let round = 0; round < 3; round++) {
  await redis.flushall()
  const [bare, direct, stored] = [`bare${round}`, `direct${round}`, `stored${round}`]
  const xadd = await bareAdd(redis, bare)
  const xread = await bareRead(redis, bare)
  await redis.del(bare)
  const published = await publish(transport, direct)
  await redis.flushall()
  const appended = await append(transport, stored)
  const lengths = await Promise.all(
    Array.from({ length: laneCount }, (_, i) => redis.xlen(laneCount === 1 ? stored : `${stored}:${i}`)),
  )
  const taken = await take(
    transport,
    stored,
    lengths.reduce((a, b) => a + b, 0),
  )
  rounds.push({ xadd, published, appended, xread, taken })
  process.stdout.write(`${JSON.stringify(rounds.at(-1))}\n`)
}
const median = (name: string) => rounds.map((round) => round[name] ?? 0).sort((a, b) => a - b)[1] ?? 0
const ratio = (name: string, to: string) => (median(name) / median(to)).toFixed(2)
process.stdout.write(
  `publish ${median('published')}/s (${ratio('published', 'xadd')} of bare pipelined XADD, ${median('xadd')}/s)\n` +
    `append ${median('appended')}/s (${ratio('appended', 'xadd')})\n` +
    `take and settle ${median('taken')}/s (${ratio('taken', 'xread')} of bare XREADGROUP and XACK, ${median('xread')}/s)\n`,
)
await transport.close()
redis.disconnect()
await server.stop()
