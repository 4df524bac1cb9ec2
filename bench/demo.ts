// What a bridge costs that runs all six services, while their applications write at a rate: its own process, so that neither the writers nor
// PostgreSQL are counted. And how soon it is up. `node bench/demo.ts [rate=500] [seconds=20]`
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { argv, cpuUsage, stdout } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { createBridge } from '../src/bridge.ts'
import { write } from '../src/commands/demo/writers.ts'
import { services as reference } from '../src/services/registry.ts'
import { openStore } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { readSnapshot } from '../src/watch/read-snapshot.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const mostShare = 0.3
const mostStartMs = 5_000
const warmUpMs = 5_000

const commitsSql = 'select xact_commit as commits from pg_stat_database where datname = current_database()'

const load = () => Promise.all(Object.values(reference).map((one) => one()))

async function bridgeOf(url: string): Promise<void> {
  const bridge = createBridge({ store: url, services: await load(), grace: '3s' })
  await bridge.start()
  process.send?.(performance.now())
  process.on('message', async (message) => {
    if (message === 'stop') {
      await bridge.stop()
      process.exit()
    }
    const { user, system } = cpuUsage()
    process.send?.((user + system) / 1_000)
  })
}

async function measure(rate: number, seconds: number): Promise<void> {
  await using server = await startPrivateServer({
    version: 18,
    durable: true,
    settings: ['max_prepared_transactions=0'],
  })
  await migrateUp(server.socketUrl)
  const store = await openStore(server.socketUrl, { applicationName: 'evt bench', max: 6 })
  const child = fork(new URL(import.meta.url), ['bridge', server.socketUrl])
  const [upMs] = (await once(child, 'message')) as [number]
  const ending = new AbortController()
  const writing = write({
    store,
    services: await load(),
    seed: 1,
    ratePerSecond: rate,
    poisonRatio: 0.02,
    nowMs: Date.now(),
    signal: ending.signal,
    onError: (error) => stdout.write(`a write failed: ${error}\n`),
  })
  const cpuMs = async () => {
    child.send('cpu')
    return ((await once(child, 'message')) as [number])[0]
  }
  const look = async () => ({
    atMs: performance.now(),
    cpuMs: await cpuMs(),
    snapshot: await readSnapshot(store),
    commits: Number((await store.query(commitsSql)).rows[0]?.commits),
  })
  await delay(warmUpMs)
  const from = await look()
  await delay(seconds * 1_000)
  const to = await look()
  ending.abort()
  await writing
  child.send('stop')
  await once(child, 'exit')
  await store.close()
  const tookMs = to.atMs - from.atMs
  const share = (to.cpuMs - from.cpuMs) / tookMs
  const perSecond = (of: (one: typeof to) => number) => Math.round(((of(to) - of(from)) * 1_000) / tookMs)
  const events = perSecond(({ snapshot }) => Number(snapshot.head.position))
  const handled = perSecond(({ snapshot }) =>
    snapshot.instances.reduce((sum, { handlers }) => handlers.reduce((all, one) => all + one.handled, sum), 0),
  )
  const verdict = share <= mostShare && upMs < mostStartMs ? 'ok' : 'NOT MET'
  if (verdict !== 'ok') process.exitCode = 1
  stdout.write(
    `${rate} writes/s, ${events} events/s, ${handled} times handled/s, ${perSecond(({ commits }) => commits)} commits/s (the writers' too), ${Math.round((share * 1e6) / handled)} µs each: ${(share * 100).toFixed(0)} % of a core (at most ${mostShare * 100}), up in ${Math.round(upMs)} ms (at most ${mostStartMs}) ${verdict}\n`,
  )
}

const [, , first = '500', second = '20'] = argv
if (first === 'bridge') await bridgeOf(second)
else await measure(Number(first), Number(second))
