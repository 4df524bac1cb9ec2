// How fast Kafka takes and gives through evt, beside the bare kafkajs loop on the same server in the same run.
//   node bench/kafka.ts [seconds=3] [lanes=4] [runs=3]
import { type Consumer, type Kafka, Partitioners } from 'kafkajs'
import { openTransport } from '../src/transports/registry.ts'
import type { Lane, Message, Transport } from '../src/transports/transport.ts'
import { bareKafka } from '../test/setup/bare-kafka.ts'
import { startPrivateKafka } from '../test/setup/private-kafka.ts'

const seconds = Number(process.argv[2] ?? 3)
const laneCount = Number(process.argv[3] ?? 4)
const runs = Number(process.argv[4] ?? 3)
const batchSize = 500
const subjects = 1_000
const inFlight = 4
/** What is read: so many were published before. */
const stored = 300_000
const signal = new AbortController().signal

let made = 0
function messages(): readonly Message[] {
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
    const body = Buffer.from(`{"n":${made},"filler":"${'x'.repeat(100)}"}`)
    return { id, key: subject, headers, body, log: BigInt(made) }
  })
}

const pool = Array.from({ length: 200 }, messages)

/** As kafkajs takes them: the same bytes in the end. */
const barePool = pool.map((batch) =>
  batch.map(({ key, headers, body, log }) => {
    const named = Object.entries(headers).map(([name, value]) => [name.replace(/^ce-/, 'ce_'), value])
    return { key, value: Buffer.from(body), headers: Object.fromEntries([...named, ['evt-log', String(log)]]) }
  }),
)

/** Events a second of `work`, which does one batch. */
async function rate<T>(from: readonly T[], work: (batch: T) => Promise<unknown>, forMs: number): Promise<number> {
  let next = 0
  const started = performance.now()
  const loop = async () => {
    while (performance.now() - started < forMs) await work(from[next++ % from.length] as T)
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return Math.round((next * batchSize * 1_000) / (performance.now() - started))
}

async function barePublish(kafka: Kafka, topic: string, idempotent: boolean, forMs: number): Promise<number> {
  const producer = kafka.producer({ idempotent, createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const perSecond = await rate(barePool, (batch) => producer.send({ topic, acks: -1, messages: batch }), forMs)
  await producer.disconnect()
  return perSecond
}

async function publish(transport: Transport, topic: string, forMs: number): Promise<number> {
  return rate(pool, (batch) => transport.publish(topic, batch, signal), forMs)
}

/** Until as many came as are there. Each batch is committed when it is done. */
async function bareConsume(kafka: Kafka, topic: string): Promise<number> {
  const consumer: Consumer = kafka.consumer({ groupId: `bare-${made++}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const done = Promise.withResolvers<void>()
  let taken = 0
  let bytes = 0
  let started = 0
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: laneCount,
    async eachBatch({ batch }) {
      started ||= performance.now()
      for (const { value, headers } of batch.messages) bytes += (value?.length ?? 0) + (headers?.ce_id?.length ?? 0)
      taken += batch.messages.length
      const offset = String(BigInt(batch.lastOffset()) + 1n)
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
      if (taken >= stored) done.resolve()
    },
  })
  await done.promise
  const perSecond = Math.round((taken * 1_000) / (performance.now() - started))
  await consumer.disconnect()
  return bytes > 0 ? perSecond : 0
}

async function consume(transport: Transport, topic: string): Promise<number> {
  const ending = new AbortController()
  let taken = 0
  let bytes = 0
  let started = 0
  const drain = async (lane: Lane) => {
    while (!ending.signal.aborted) {
      const batch = await lane.take(batchSize, ending.signal)
      started ||= performance.now()
      for (const { body, id } of batch) bytes += body.length + id.length
      taken += batch.length
      await lane.settle(batch)
      if (taken >= stored) ending.abort()
    }
    await lane.release()
  }
  const options = {
    prefetch: 1_000,
    patterns: ['bench.*'],
    start: 'earliest',
    lanes: laneCount,
    member: 'bench',
    signal: ending.signal,
  } as const
  const draining: Promise<void>[] = []
  for await (const lane of transport.lanes?.([topic], `evt-${made++}`, options) ?? []) draining.push(drain(lane))
  const perSecond = Math.round((taken * 1_000) / (performance.now() - started))
  await Promise.all(draining)
  return bytes > 0 ? perSecond : 0
}

async function observe(transport: Transport, topic: string): Promise<number> {
  let seen = 0
  const started = performance.now()
  const selector = { topics: [topic], patterns: [] }
  for await (const batch of transport.observe(selector, { from: 'start', follow: false, signal })) seen += batch.length
  return Math.round((seen * 1_000) / (performance.now() - started))
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

async function measure(): Promise<string> {
  await using server = await startPrivateKafka()
  const kafka = bareKafka(server.port)
  const transport = await openTransport(server.url)
  const forMs = seconds * 1_000
  const names = ['bare', 'bare.plain', 'evt', 'read']
  const specs = names.map((name) => ({ name, lanes: laneCount }))
  await transport.ensure(specs, 'create')
  for (let sent = 0; sent < stored; sent += batchSize) {
    // Each message comes once: what went before is a duplicate by its log position.
    const batch = (pool[0] ?? []).map((one, i) => ({ ...one, log: BigInt(sent + i + 1) }))
    await transport.publish('read', batch, signal)
  }
  const works: Record<string, () => Promise<number>> = {
    'publish, kafkajs idempotent': () => barePublish(kafka, 'bare', true, forMs),
    'publish, kafkajs not idempotent': () => barePublish(kafka, 'bare.plain', false, forMs),
    'publish, evt': () => publish(transport, 'evt', forMs),
    'consume with commits, kafkajs': () => bareConsume(kafka, 'read'),
    'consume with settle, evt': () => consume(transport, 'read'),
    'observe, evt': () => observe(transport, 'read'),
  }
  const rates = new Map<string, number[]>()
  for (let run = 0; run < runs; run++) {
    for (const [name, work] of Object.entries(works)) rates.set(name, [...(rates.get(name) ?? []), await work()])
  }
  await transport.close()
  const medians = new Map([...rates].map(([name, values]) => [name, median(values)]))
  const lines = [...medians].map(([name, value]) => {
    const all = rates
      .get(name)
      ?.map((one) => one.toLocaleString('en'))
      .join(', ')
    return `${name.padEnd(34)} ${value.toLocaleString('en').padStart(9)} events/s  (${all})`
  })
  const ratio = (of: string, to: string) => `${Math.round(((medians.get(of) ?? 0) / (medians.get(to) ?? 1)) * 100)} %`
  lines.push(
    `publish: ${ratio('publish, evt', 'publish, kafkajs idempotent')} of kafkajs idempotent, ${ratio('publish, evt', 'publish, kafkajs not idempotent')} of kafkajs not idempotent`,
    `consume: ${ratio('consume with settle, evt', 'consume with commits, kafkajs')} of kafkajs`,
  )
  return `${lines.join('\n')}\n`
}

process.stdout.write(await measure())
process.exit()
