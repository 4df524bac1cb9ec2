// How fast RabbitMQ takes and gives through evt, beside the bare client on the same queues of the same server in the same run.
//   node bench/rabbitmq.ts [messages=6000] [lanes=4] [runs=9]
import { Connection } from 'rabbitmq-client'
import { openTransport } from '../src/transports/registry.ts'
import type { Lane, Message, Transport } from '../src/transports/transport.ts'
import { startPrivateRabbit } from '../test/setup/private-rabbitmq.ts'

const count = Number(process.argv[2] ?? 6_000)
const laneCount = Number(process.argv[3] ?? 4)
const runs = Number(process.argv[4] ?? 9)
const batchSize = 500
const inFlight = 2
const prefetch = 500
const topic = 'bench'
const group = 'bench'

function message(n: number): Message {
  const id = `01936b2e-7c00-7000-8000-${String(n).padStart(12, '0')}`
  const key = `subject/${n % 1_000}`
  const headers = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-type': 'bench.happened',
    'ce-source': 'bench',
    'ce-time': '2026-11-21T08:00:00.000Z',
    'ce-subject': key,
  }
  return { id, key, headers, body: Buffer.from(`{"n":${n},"filler":"${'x'.repeat(100)}"}`) }
}

/** Events a second; messages are made beforehand, because that is not what is measured. */
async function publishRate(publish: (batch: readonly Message[]) => Promise<unknown>): Promise<number> {
  const batches = Array.from({ length: Math.ceil(count / batchSize) }, (_, b) =>
    Array.from({ length: Math.min(batchSize, count - b * batchSize) }, (__, n) => message(b * batchSize + n)),
  )
  const started = performance.now()
  const loop = async () => {
    for (let batch = batches.pop(); batch; batch = batches.pop()) await publish(batch)
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return (count * 1_000) / (performance.now() - started)
}

/** The same properties and headers, the same confirms and window, mandatory as well. */
async function barePublish(url: string): Promise<number> {
  const connection = new Connection(url)
  const channel = await connection.acquire()
  await channel.confirmSelect()
  let next = 0
  const rate = await publishRate((batch) =>
    Promise.all(
      batch.map(({ id, key, headers, body }) => {
        const { 'content-type': contentType, ...rest } = headers
        const table = { ...rest, 'evt-key': key, timestamp_in_ms: Date.now() }
        const routingKey = `${next++ % laneCount}.bench.happened`
        const fixed = { contentType: contentType ?? '', durable: true, mandatory: true, appId: 'bench' }
        return channel.basicPublish(
          { exchange: topic, routingKey, messageId: id, headers: table, ...fixed },
          body as Buffer,
        )
      }),
    ),
  )
  await channel.close()
  await connection.close()
  return rate
}

async function publish(transport: Transport): Promise<number> {
  const signal = new AbortController().signal
  return publishRate(async (batch) => {
    const results = await transport.publish(topic, batch, signal)
    const failed = results.find(({ state }) => state !== 'stored')
    if (failed !== undefined) throw new Error(JSON.stringify(failed))
  })
}

/** One channel a lane, acknowledged in hundreds. */
async function bareConsume(url: string): Promise<number> {
  const connection = new Connection(url)
  const started = performance.now()
  let taken = 0
  const done = Promise.withResolvers<void>()
  const channels = await Promise.all(Array.from({ length: laneCount }, () => connection.acquire()))
  for (const [lane, channel] of channels.entries()) {
    await channel.basicQos({ prefetchCount: prefetch })
    let unacked = 0
    await channel.basicConsume({ queue: `${topic}/${group}/${lane}` }, ({ deliveryTag }) => {
      taken++
      if (++unacked === 100 || taken === count) {
        channel.basicAck({ deliveryTag, multiple: true })
        unacked = 0
      }
      if (taken === count) done.resolve()
    })
  }
  await done.promise
  const rate = (count * 1_000) / (performance.now() - started)
  for (const channel of channels) {
    channel.basicAck({ deliveryTag: 0, multiple: true })
    await channel.close()
  }
  await connection.close()
  return rate
}

async function drain(lane: Lane, signal: AbortSignal, onTaken: (count: number) => void): Promise<void> {
  while (!signal.aborted && !lane.lost.aborted) {
    const batch = await lane.take(100, signal)
    await lane.settle(batch)
    onTaken(batch.length)
  }
  await lane.release()
}

async function consume(transport: Transport): Promise<number> {
  const stopping = new AbortController()
  const { signal } = stopping
  const options = { prefetch, patterns: [], start: 'earliest', lanes: laneCount, member: 'bench', signal } as const
  let taken = 0
  let started = 0
  const running: Promise<void>[] = []
  for await (const lane of transport.lanes?.([topic], group, options) ?? []) {
    started ||= performance.now()
    running.push(
      drain(lane, signal, (more) => {
        taken += more
        if (taken >= count) stopping.abort()
      }),
    )
  }
  const rate = (taken * 1_000) / (performance.now() - started)
  await Promise.all(running)
  return rate
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

const server = await startPrivateRabbit()
const transport = await openTransport(server.url)
await transport.ensure([{ name: topic, lanes: laneCount }], 'create')
// From its first lanes on a group gets everything.
for await (const lane of transport.lanes?.([topic], group, {
  prefetch,
  patterns: [],
  start: 'earliest',
  lanes: laneCount,
  member: 'bench',
  signal: AbortSignal.timeout(1_000),
}) ?? [])
  await lane.release()
const rates: Record<string, number[]> = { barePublish: [], publish: [], bareConsume: [], consume: [] }
// In turns and short: what else runs on the machine meets both alike.
for (let run = 0; run < runs; run++) {
  rates.barePublish?.push(await barePublish(server.url))
  rates.bareConsume?.push(await bareConsume(server.url))
  rates.publish?.push(await publish(transport))
  rates.consume?.push(await consume(transport))
}
await transport.close()
await server.stop()
const of = (name: string) => Math.round(median(rates[name] ?? []))
for (const name of ['publish', 'consume']) {
  const bare = of(name === 'publish' ? 'barePublish' : 'bareConsume')
  const share = Math.round((of(name) / bare) * 100)
  process.stdout.write(
    `${name}: ${of(name).toLocaleString('en')}/s, bare client ${bare.toLocaleString('en')}/s: ${share} %\n`,
  )
}
process.exit()
