// POST /events in batches of 100, against publishAll in the same run: one process serves, another one asks over so many connections that
// stay open, on the same cores and one PostgreSQL. Contracts are checked in both. `node bench/http.ts [seconds=5] [connections=16]`
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { argv, stdout } from 'node:process'
import { z } from 'zod'
import { createBridge, createPublisher, createRegistry, defineEvent } from '../src/index.ts'
import { openStore } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const batchSize = 100
const filler = 'x'.repeat(180)
const happened = defineEvent('bench.happened', { 1: z.object({ n: z.number(), filler: z.string() }) })
const registry = createRegistry([happened])

interface Order {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** Ids of its own: keyed, and sent again without harm. */
  readonly withIds: boolean
}

interface Tally {
  readonly events: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

let made = 0
function bodyOf(withIds: boolean, run: string): string {
  const events = Array.from({ length: batchSize }, () => {
    made += 1
    const id = withIds ? { id: `${run}-${made}` } : {}
    return { ...id, type: 'bench.happened', subject: `s/${made % 1_000}`, data: { n: made, filler } }
  })
  return JSON.stringify(events)
}

async function ask({ url, seconds, connections, withIds }: Order): Promise<Tally> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const run = `${Date.now()}`
  const times: number[] = []
  const startedAt = performance.now()
  const endAt = startedAt + seconds * 1_000
  const post = (body: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const asked = request(`${url}/events`, { method: 'POST', agent, headers }, (answer) => {
        answer.resume()
        answer.once('end', () => resolve(answer.statusCode ?? 0))
      })
      asked.once('error', reject)
      asked.end(body)
    })
  const work = async () => {
    while (performance.now() < endAt) {
      const body = bodyOf(withIds, run)
      const at = performance.now()
      const status = await post(body)
      if (status !== 202) throw new Error(`answered with ${status}`)
      times.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: connections }, work))
  agent.destroy()
  times.sort((a, b) => a - b)
  const at = (part: number) => times[Math.floor(times.length * part)] ?? 0
  const took = (performance.now() - startedAt) / 1_000
  return { events: times.length * batchSize, seconds: took, p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function askFromElsewhere(order: Order): Promise<Tally> {
  const child = fork(import.meta.filename, ['ask'])
  child.send(order)
  const [tally] = (await once(child, 'message')) as [Tally]
  child.kill()
  return tally
}

async function publishDirectly(url: string, seconds: number): Promise<Tally> {
  const publisher = createPublisher({ store: url, registry, source: 'bench' })
  const startedAt = performance.now()
  let events = 0
  function* endless() {
    for (const endAt = startedAt + seconds * 1_000; performance.now() < endAt; ) {
      events += 1
      yield { type: 'bench.happened', subject: `s/${events % 1_000}`, data: { n: events, filler } }
    }
  }
  await publisher.publishAll(endless())
  const took = (performance.now() - startedAt) / 1_000
  await publisher.close()
  return { events, seconds: took, p50Ms: Number.NaN, p99Ms: Number.NaN }
}

async function main(seconds: number, connections: number): Promise<void> {
  const server = await startPrivateServer({ version: 18 })
  const store = await openStore(server.url, { applicationName: 'evt bench', max: 2 })
  await migrateUp(store)
  const http = { port: 0, rate: { requests: 1_000_000, window: '1s' } }
  const bridge = createBridge({ store: server.url, registry, roles: ['http'], http })
  try {
    await bridge.start()
    const url = bridge.httpUrl ?? ''
    await askFromElsewhere({ url, seconds: 1, connections, withIds: true })
    const direct = await publishDirectly(server.url, seconds)
    tell('publishAll, one process', direct, direct)
    for (const withIds of [true, false]) {
      const tally = await askFromElsewhere({ url, seconds, connections, withIds })
      tell(`POST /events, ${withIds ? 'ids of the sender' : 'ids made here'}`, tally, direct)
    }
  } finally {
    await bridge.stop()
    await store.close()
    await server.stop()
  }
}

function tell(name: string, { events, seconds, p50Ms, p99Ms }: Tally, direct: Tally): void {
  const rate = events / seconds
  const share = (100 * rate) / (direct.events / direct.seconds)
  const times = Number.isNaN(p50Ms) ? '' : `, a batch p50 ${p50Ms.toFixed(1)} ms p99 ${p99Ms.toFixed(1)} ms`
  stdout.write(`${name}: ${Math.round(rate)} events/s, ${share.toFixed(0)} %${times}\n`)
}

if (argv[2] === 'ask') process.once('message', async (order) => process.send?.(await ask(order as Order)))
else await main(Number(argv[2] ?? 5), Number(argv[3] ?? 16))
