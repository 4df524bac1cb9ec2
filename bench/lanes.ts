// How fast the log goes through lanes: a producer and one consumer process with handlers that do nothing, order checked.
//   node bench/lanes.ts [seconds=8] [groups=1] [lanes=16]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeEvent } from '../src/core/codec.ts'
import { openStore } from '../src/store/connection.ts'
import { acquireLease } from '../src/store/lease.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { publishEncoded } from '../src/store/outbox.ts'
import { tick } from '../src/store/sequencer.ts'
import { openTransport } from '../src/transports/registry.ts'
import type { Lane } from '../src/transports/transport.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const batchSize = 500
const subjects = 1_000
const writers = 4

/** Commits batches until it is told to stop, then says how many events that were. */
async function produce(url: string): Promise<void> {
  const store = await openStore(url, { applicationName: 'evt bench producer', max: writers })
  let running = true
  process.once('message', () => {
    running = false
  })
  let sent = 0
  const sequences = new Array<number>(subjects).fill(0)
  const nextEvent = (n: number) => {
    const subject = n % subjects
    sequences[subject] = (sequences[subject] ?? 0) + 1
    const data = { n: sequences[subject], filler: 'x'.repeat(180) }
    const time = new Date().toISOString()
    return encodeEvent({
      id: `bench-${process.pid}-${n}`,
      type: 'bench.happened',
      version: 1,
      source: 'bench',
      time,
      subject: `subject/${subject}`,
      priority: 'normal',
      metadata: {},
      data,
    })
  }
  // One writer a subject, as writers that keep an order do: each connection has its share of the subjects.
  const write = async (writer: number) => {
    let own = 0
    while (running) {
      const numbers = Array.from({ length: batchSize }, () => writer + writers * own++)
      await publishEncoded(store, numbers.map(nextEvent))
      sent += batchSize
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  await store.close()
  process.send?.(sent)
}

interface Count {
  taken: number
  misordered: number
}

async function drain(lane: Lane, count: Count, signal: AbortSignal): Promise<void> {
  const last = new Map<string | null, number>()
  while (!signal.aborted && !lane.lost.aborted) {
    const batch = await lane.take(100, signal)
    for (const { key, body } of batch) {
      const n = Number(/"n":(\d+)/.exec(Buffer.from(body.buffer, body.byteOffset, 24).toString())?.[1])
      if (n !== (last.get(key) ?? 0) + 1) count.misordered++
      last.set(key, n)
    }
    count.taken += batch.length
    await lane.settle(batch)
  }
}

async function sequence(url: string, signal: AbortSignal): Promise<void> {
  const store = await openStore(url, { applicationName: 'evt bench sequencer', max: 1 })
  const lease = await acquireLease(store, 'bench', 3_600_000)
  while (!signal.aborted && lease) {
    const startedAt = performance.now()
    const { more } = await tick(store, lease.epoch, 5_000)
    if (!more) await delay(Math.max(0, 2 - (performance.now() - startedAt)))
  }
  await store.close()
}

async function measure(seconds: number, groups: number, lanes: number): Promise<string> {
  const server = await startPrivateServer({ version: 18, durable: true })
  await migrateUp(server.socketUrl)
  const transport = await openTransport(server.socketUrl)
  const stopping = new AbortController()
  const { signal } = stopping
  const counts = Array.from({ length: groups }, (): Count => ({ taken: 0, misordered: 0 }))
  const running = counts.map(async (count, i) => {
    const options = {
      prefetch: 1_000,
      patterns: ['bench.*'],
      start: 'earliest',
      lanes,
      member: 'bench',
      signal,
    } as const
    for await (const lane of transport.lanes?.(['log'], `bench.${i}`, options) ?? []) void drain(lane, count, signal)
  })
  await delay(1_500)
  const idleFrom = process.cpuUsage()
  await delay(4_000)
  const idle = process.cpuUsage(idleFrom)
  const idleShare = ((idle.user + idle.system) / 4e6) * 100

  const sequencer = sequence(server.socketUrl, signal)
  const cpuFrom = process.cpuUsage()
  const startedAt = performance.now()
  const producer = fork(new URL(import.meta.url), ['produce', server.socketUrl])
  await delay(seconds * 1_000)
  producer.send('stop')
  const [sent] = (await once(producer, 'message')) as [number]
  while (counts.some(({ taken }) => taken < sent)) await delay(5)
  const elapsed = (performance.now() - startedAt) / 1_000
  const cpu = process.cpuUsage(cpuFrom)
  stopping.abort()
  await Promise.all([...running, sequencer])
  await transport.close()
  await server.stop()
  const misordered = counts.reduce((sum, count) => sum + count.misordered, 0)
  const extra = counts.reduce((sum, { taken }) => sum + taken - sent, 0)
  const rate = Math.round(sent / elapsed)
  return (
    `${groups} groups × ${lanes} lanes: ${rate.toLocaleString('en')} events/s, each ${groups} times; ` +
    `${sent} sent, ${extra} too many, ${misordered} out of order; ` +
    `${((cpu.user + cpu.system) / sent).toFixed(1)} µs of CPU an event in this process; idle ${idleShare.toFixed(2)} % of a core\n`
  )
}

const [first = '8', second = '1', third = '16'] = process.argv.slice(2)
if (first === 'produce') await produce(second)
else process.stdout.write(await measure(Number(first), Number(second), Number(third)))
process.exit()
