// What memory a process takes in the long run. Run it on a quiet machine.
//   npm run soak [-- minutes]                      a bridge with the reference service, first idle for a minute, then at 1,000 events/s:
//                                                  share of one core and resident memory every ten seconds; after `npm run build`
//   npm run soak -- stopped [seconds] [broker …]   a consumer that stands still for so long while others publish at full rate, then goes on
//   npm run soak -- storm [seconds] [events]       a burst over handlers that are paused for so long, then goes on
//   npm run soak -- pending [count]                so many entries that a dead consumer of a Redis stream left pending are drained
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createBridge } from '../src/bridge.ts'
import { createRegistry } from '../src/core/registry.ts'
import { defineHandler } from '../src/handle/define-handler.ts'
import { openStore } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { drainPending, holdConsumer } from '../test/faults/holding.ts'
import { startPrivateKafka } from '../test/setup/private-kafka.ts'
import { startPrivateRabbit } from '../test/setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../test/setup/private-redis.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const evt = resolve(import.meta.dirname, '../bin/evt.js')
const say = (line: string) => process.stdout.write(`${line}\n`)

interface Look {
  readonly cpuSeconds: number
  readonly residentMiB: number
}

function look(pid: number): Look {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, residentMiB: Number(resident) / 1024 }
}

async function watch(what: string, pid: number, seconds: number): Promise<void> {
  let before = look(pid)
  for (let passed = 10; passed <= seconds; passed += 10) {
    await wait(10_000)
    const now = look(pid)
    say(
      `${what} ${String(passed).padStart(4)} s  ${((now.cpuSeconds - before.cpuSeconds) * 10).toFixed(1).padStart(5)} % of a core  ${now.residentMiB.toFixed(0).padStart(4)} MiB`,
    )
    before = now
  }
}

const brokers = {
  // What nobody reads stays in memory.
  redis: () => startPrivateRedis({ args: ['--appendonly', 'no', '--maxmemory', '5gb'] }),
  rabbitmq: startPrivateRabbit,
  kafka: startPrivateKafka,
} as const

const isBroker = (name: string): name is keyof typeof brokers => name in brokers

/** Of each broker the transport alone, then handlers behind a store. */
async function soakStopped(seconds: number, names: readonly string[]): Promise<void> {
  const options = { seconds, leastBytes: 0, mostBytes: 3e9, bodyBytes: 300, prefetch: 500, goOnSeconds: seconds / 2 }
  for (const name of names.filter(isBroker)) {
    for (const form of ['transport', 'store'] as const) {
      await using broker = await brokers[name]()
      await using server = await startPrivateServer({ version: 18 })
      await migrateUp(server.url)
      const held = await holdConsumer({ ...options, broker, ...(form === 'store' ? { store: server.url } : {}) })
      const [before, during, after, end] = [held.beforeMiB, held.duringMiB, held.afterMiB, held.endMiB].map(Math.round)
      say(
        `${name.padEnd(8)} ${form.padEnd(9)} ${held.published} published in ${seconds} s, at most ${held.mostUnsettled} in hand; ${before} MiB before, at most ${during} while it stood still, ${after} when it went on with ${held.settled}, ${end} at the end`,
      )
    }
  }
}

async function soakPending(count: number): Promise<void> {
  await using redis = await brokers.redis()
  const { seconds, beforeMiB, peakMiB } = await drainPending(redis, { count, bodyBytes: 340 })
  say(
    `${count} drained in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second; ${Math.round(beforeMiB)} MiB before, at most ${Math.round(peakMiB)}`,
  )
}

/** The bridge is in this process. */
async function soakStorm(seconds: number, events: number): Promise<void> {
  await using server = await startPrivateServer({
    version: 18,
    durable: true,
    settings: ['max_prepared_transactions=0'],
  })
  await migrateUp(server.url)
  const store = await openStore(server.url, { applicationName: 'evt soak' })
  await store.query('create table effects (id text primary key)')
  const handler = defineHandler({
    name: 'soak.storm',
    on: ['**'],
    start: 'earliest',
    handle: async (event, ctx) => void (await ctx.sql`insert into effects values (${event.id})`),
  })
  const bridge = createBridge({ store: server.url, handlers: [handler], registry: createRegistry([]) })
  await bridge.start()
  await bridge.pause('soak.storm')
  await wait(3_000)
  let most = 0
  const resident = () => process.memoryUsage.rss() / 1024 / 1024
  const before = resident()
  const looking = setInterval(() => (most = Math.max(most, resident())), 100)
  const started = performance.now()
  await store.query(
    `insert into evt.outbox (id, type, source, subject, data)
     select 'storm-' || n, 'storm.came', 'soak', 'subject/' || n % 1000, json_build_object('n', n, 'filler', repeat('x', 200))
     from generate_series(1, $1::int) n`,
    [events],
  )
  const burstSeconds = (performance.now() - started) / 1_000
  await wait(seconds * 1_000)
  const standing = most
  await bridge.resume('soak.storm')
  const resumed = performance.now()
  const count = async () => Number((await store.query('select count(*)::int as n from effects')).rows[0]?.n)
  while ((await count()) < events) await wait(200)
  const drained = (performance.now() - resumed) / 1_000
  clearInterval(looking)
  say(
    `${events} published in ${burstSeconds.toFixed(1)} s over a paused handler, which went on after ${seconds} s and had all, once, ${drained.toFixed(1)} s later; ${before.toFixed(0)} MiB before, at most ${standing.toFixed(0)} while it stood still, ${most.toFixed(0)} over all`,
  )
  await bridge.stop()
  await store.close()
}

async function soakBridge(minutes: number): Promise<void> {
  const server = await startPrivateServer({ version: 18, durable: true, settings: ['max_prepared_transactions=0'] })
  const env = { ...process.env, EVT_STORE: server.url }
  const idleNode = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await migrateUp(server.url)
  const bridge = spawn(process.execPath, [evt, 'up', '-q', '--services', 'icons'], { env, stdio: 'ignore' })
  try {
    await wait(15_000)
    say(`an idle Node process: ${look(idleNode.pid ?? 0).residentMiB.toFixed(0)} MiB`)
    await watch('idle     ', bridge.pid ?? 0, 60)
    const load = spawn(
      process.execPath,
      [evt, 'gen', 'user.*', '--rate', '1000', '--duration', `${minutes}m`, '-q', '-y'],
      { env, stdio: 'ignore' },
    )
    await watch('1,000/s  ', bridge.pid ?? 0, minutes * 60)
    load.kill('SIGTERM')
  } finally {
    bridge.kill('SIGTERM')
    idleNode.kill('SIGTERM')
    await wait(3000)
    await server.stop()
  }
}

const [what = '5', size, ...names] = process.argv.slice(2)
if (what === 'stopped') await soakStopped(Number(size ?? 60), names.length > 0 ? names : Object.keys(brokers))
else if (what === 'storm') await soakStorm(Number(size ?? 60), Number(names[0] ?? 100_000))
else if (what === 'pending') await soakPending(Number(size ?? 1_000_000))
else await soakBridge(Number(what))
