import { connect, createServer, type Server } from 'node:net'
import { describe, expect, test } from 'vitest'
import { watchForOutage } from '../../src/bench/bridge/outage.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { readSnapshot } from '../../src/watch/read-snapshot.ts'
import { createTestDatabase } from '../setup/database.ts'
import { onTestFinished } from '../setup/on-test-finished.ts'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'
import { until } from '../setup/until.ts'
import { evtBench, schemasOf, startRelay, untilLoaded } from './evt-bench.ts'

async function ownServer(): Promise<{ server: PrivateServer; store: Store }> {
  const server = await startPrivateServer({ version: 18 })
  onTestFinished(() => server.stop())
  await migrateUp(server.url)
  const store = await openStore(server.url, { applicationName: 'evt test', max: 2 })
  onTestFinished(() => store.close())
  return { server, store }
}

/** Longer than what evt waits before it holds a store for gone, and far below the time to drain. */
const withinMs = 20_000
const steady = ['--rate', '200', '--warmup', '0', '--duration', '60s']

// All of them beside each other: most of their time is what evt waits, or a load that goes on.
describe.concurrent('a store that goes away while evt bench runs', () => {
  test('ends the run within seconds, with what is known and exit 3', async () => {
    const { server, store } = await ownServer()
    const { ended } = evtBench(steady, { EVT_STORE: server.url })
    await untilLoaded(store)
    await server.kill('SIGINT')
    const goneAt = performance.now()
    const { code, stdout, stderr } = await ended
    expect(performance.now() - goneAt).toBeLessThan(withinMs)
    expect(code, stdout + stderr).toBe(3)
    expect(stdout).toMatch(/^GONE {2}the target went away after \d+ events \(cannot use postgres:.*refused/)
    expect(stdout).toMatch(/sent = accepted \d+ \+ rejected 0 \+ unknown \d+/)
    expect(stdout).not.toMatch(/UNBALANCED/)
  }, 60_000)

  test('for the time of a restart does not end the run', async () => {
    const { server, store } = await ownServer()
    const { ended } = evtBench(
      ['--rate', '100', '--warmup', '0', '--duration', '4s', '--drain-timeout', '2s', '--json'],
      {
        EVT_STORE: server.url,
      },
    )
    await untilLoaded(store)
    await server.restart()
    const { code, stdout, stderr } = await ended
    const { ledger } = JSON.parse(stdout).data
    expect(code, stdout + stderr).not.toBe(3)
    expect(ledger).toMatchObject({ lost: 0, unlocated: 0, balanced: true })
    expect(ledger.unknown).toBeLessThan(ledger.sent)
    expect(ledger.handled).toBeGreaterThan(ledger.sent / 2)
  }, 60_000)

  test('is held for gone when it stops answering without a word', async () => {
    const { server } = await ownServer()
    const silent = await startMute(server.port)
    const watch = await watchForOutage(server.url.replace(/:\d+\/postgres/, `:${silent.port}/postgres`), {
      failingMs: 60_000,
      silentMs: 500,
    })
    onTestFinished(() => void watch.stop())
    silent.mute()
    expect((await watch.gone).message).toMatch(/no answer for 1 s/)
  }, 30_000)
})

describe.concurrent('a relay that goes away while evt bench runs', () => {
  test('is replaced by one of its own, and the report says so', async () => {
    const { store, url } = await createTestDatabase()
    const relay = await startRelay(store)
    const { ended } = evtBench(['--rate', '100', '--warmup', '0', '--duration', '3s', '--json'], { EVT_STORE: url })
    await untilLoaded(store)
    await relay.stop()
    const { data } = JSON.parse((await ended).stdout)
    expect(data.ledger).toMatchObject({ scheduled: 300, handled: 300, lost: 0, stillOpen: 0, balanced: true })
    expect(data.notices).toContainEqual(expect.stringMatching(/^the relay that ran ended: bench relays itself since/))
  }, 60_000)
})

describe.concurrent('the handlers of evt bench', () => {
  test('show among the running bridges while it runs, and no longer', async () => {
    const { store, url } = await createTestDatabase()
    const { child, ended } = evtBench(['--rate', '100', '--warmup', '0', '--duration', '60s'], { EVT_STORE: url })
    const found = await until(
      async () => (await readSnapshot(store)).instances.find(({ handlers }) => (handlers[0]?.handled ?? 0) > 10),
      { withinMs: 20_000 },
    )
    expect(found).toMatchObject({ instance: expect.stringMatching(/^evt bench [0-9a-f]{8}$/), alive: true })
    expect(found.handlers[0]?.handler).toMatch(/^bench\.[0-9a-f]{8}\.effect$/)
    child.kill('SIGTERM')
    await ended
    expect((await readSnapshot(store)).instances).toEqual([])
  }, 60_000)
})

describe.concurrent('a signal to evt bench', () => {
  const soonMs = 20_000

  async function signalled(child: ReturnType<typeof evtBench>, name: NodeJS.Signals) {
    const at = performance.now()
    child.child.kill(name)
    const ended = await child.ended
    expect(performance.now() - at, ended.stdout + ended.stderr).toBeLessThan(soonMs)
    return ended
  }

  test('while it connects ends it within seconds', async () => {
    const server = createServer(() => {})
    const connected = new Promise<void>((resolve) => server.once('connection', () => resolve()))
    const port = await listen(server)
    const bench = evtBench([], { EVT_STORE: `postgres://me@127.0.0.1:${port}/none` })
    await connected
    expect((await signalled(bench, 'SIGTERM')).code).toBe(143)
  }, 60_000)

  test('while it warms up, sends or drains ends it within seconds, and nothing is left', async () => {
    const { store, url } = await createTestDatabase()
    const loads = [
      ['--rate', '100', '--warmup', '60s'],
      ['--rate', '100', '--warmup', '0', '--duration', '60s'],
      [
        '--rate',
        '50',
        '--warmup',
        '0',
        '--duration',
        '1s',
        '--keys',
        '1',
        '--handler',
        'effect',
        '--handler',
        'sleep:1s',
      ],
    ]
    for (const load of loads) {
      const bench = evtBench(load, { EVT_STORE: url })
      await untilLoaded(store)
      const { code, stdout, stderr } = await signalled(bench, 'SIGINT')
      expect(code, stdout + stderr).toBe(130)
      expect(stdout).toMatch(/^INTERRUPTED/)
      expect(await schemasOf(store)).toEqual([])
    }
  }, 90_000)

  test('while something holds up its clean-up ends it all the same', async () => {
    const { store, url } = await createTestDatabase()
    const bench = evtBench(['--rate', '100', '--warmup', '0', '--duration', '60s'], { EVT_STORE: url })
    await untilLoaded(store)
    const [schema] = await schemasOf(store)
    const { ended } = await store.transaction(async (sql) => {
      await sql.query(`lock table ${schema}.effects in row exclusive mode`)
      return { ended: await signalled(bench, 'SIGINT') }
    })
    expect(ended.code).toBe(130)
    expect(ended.stderr).toMatch(/could be removed in time: the next `evt bench` removes it/)
  }, 60_000)
})

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

/** A way to the server that swallows everything once `mute` is called. */
async function startMute(target: number): Promise<{ port: number; mute(): void }> {
  let isMute = false
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    near.on('data', (bytes) => isMute || far.write(bytes)).on('error', () => {})
    far.on('data', (bytes) => isMute || near.write(bytes)).on('error', () => {})
    onTestFinished(() => {
      near.destroy()
      far.destroy()
    })
  })
  return {
    port: await listen(server),
    mute() {
      isMute = true
    },
  }
}
