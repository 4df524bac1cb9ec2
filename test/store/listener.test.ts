import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { childrenOf, isRunning } from '../../src/store/embedded/process.ts'
import { type ListenerOptions, openListener } from '../../src/store/listener.ts'
import { createTestDatabase } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { until } from '../setup/until.ts'

function listen(url: string, options: Partial<ListenerOptions> = {}) {
  const heard: string[] = []
  let listened = 0
  const listener = openListener(url, {
    channels: ['evt_one', 'evt_two'],
    applicationName: 'evt test listener',
    onNotification: (channel, payload) => heard.push(`${channel} ${payload}`),
    onListening: () => {
      listened += 1
    },
    ...options,
  })
  onTestFinished(() => listener.close())
  return {
    listener,
    heard,
    /** How often LISTEN took effect. */
    listened: () => listened,
    listens: (times: number) =>
      until(() => listened >= times && listener.listening, { what: `LISTEN number ${times}` }),
  }
}

interface Proxy {
  readonly url: string
  /** The connections of now swallow everything, as a network does that is gone. */
  cut(): void
  /** Does behind the back of the client what a pooler does that gives it another session. */
  unlisten(): void
}

const unlisten = Buffer.from('Q\0\0\0\u000funlisten *\0', 'latin1')
/** CommandComplete `UNLISTEN` and ReadyForQuery. */
const answerBytes = 14 + 6

async function startProxy(url: string): Promise<Proxy> {
  const to = new URL(url)
  const [host, port] = [to.hostname, Number(to.port)]
  const pairs = new Set<{ near: Socket; far: Socket; isCut: boolean; swallow: number }>()
  const proxy = createServer((near) => {
    const pair = { near, far: connect(port, host), isCut: false, swallow: 0 }
    pairs.add(pair)
    near.on('data', (chunk) => pair.isCut || pair.far.write(chunk))
    pair.far.on('data', (chunk) => {
      const rest = chunk.subarray(pair.swallow)
      pair.swallow = Math.max(0, pair.swallow - chunk.length)
      if (!pair.isCut && rest.length > 0) near.write(rest)
    })
    near.on('error', () => {}).on('close', () => pairs.delete(pair) && pair.far.destroy())
    pair.far.on('error', () => {}).on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const { near } of pairs) near.destroy()
    proxy.close()
  })
  const address = proxy.address()
  to.port = String(typeof address === 'object' && address?.port)
  return {
    url: to.href,
    cut() {
      for (const pair of pairs) pair.isCut = true
    },
    unlisten() {
      for (const pair of pairs) {
        pair.swallow = answerBytes
        pair.far.write(unlisten)
      }
    },
  }
}

describe('a listener', () => {
  it('hears its channels and nothing after it was closed, which may be done twice', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    const { listener, heard, listened, listens } = listen(url, { heartbeatMs: 10 })
    expect(listener.listening).toBe(false)
    await listens(1)
    await store.query("select pg_notify('evt_one', 'a'), pg_notify('evt_two', ''), pg_notify('evt_three', 'c')")
    await until(() => heard.length === 2)
    expect(heard).toEqual(['evt_one a', 'evt_two '])
    const beat = `select from pg_stat_activity where application_name = 'evt test listener' and query like '%pg_listening%'
      and datname = current_database()`
    await until(async () => (await store.query(beat)).rows.length === 1, { what: 'a heartbeat' })
    expect(listened()).toBe(1)
    await Promise.all([listener.close(), listener.close()])
    expect(listener.listening).toBe(false)
    await store.query("select pg_notify('evt_one', 'late')")
    const mine = `select from pg_stat_activity where application_name = 'evt test listener' and datname = current_database()`
    await until(async () => (await store.query(mine)).rows.length === 0)
    expect(heard).toHaveLength(2)
  })

  it('listens again after its session was ended', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    const { heard, listens } = listen(url)
    await listens(1)
    await store.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'evt test listener' and datname = current_database()`)
    await listens(2)
    await store.query("select pg_notify('evt_one', 'b')")
    await until(() => heard.includes('evt_one b'))
  })

  it('finds by its heartbeat that its session has stopped listening without an error', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    const proxy = await startProxy(url)
    const { heard, listens } = listen(proxy.url, { heartbeatMs: 300 })
    await listens(1)
    // Between two beats, or their answers would be mixed up; where it comes too close the connection is lost, and found too.
    proxy.unlisten()
    await listens(2)
    await store.query("select pg_notify('evt_one', 'b')")
    await until(() => heard.includes('evt_one b'))
  })

  it('does not find that without a heartbeat: nothing else shows it', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    const proxy = await startProxy(url)
    const { heard, listened, listens } = listen(proxy.url, { heartbeatMs: 3_600_000 })
    await listens(1)
    proxy.unlisten()
    const left = `select from pg_stat_activity where application_name = 'evt test listener' and query = 'unlisten *'
      and state = 'idle' and datname = current_database()`
    await until(async () => (await store.query(left)).rows.length === 1)
    await store.query("select pg_notify('evt_one', 'b')")
    expect({ heard, listened: listened() }).toEqual({ heard: [], listened: 1 })
  })

  it('finds by its heartbeat that its connection is half open', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    const proxy = await startProxy(url)
    const { heard, listens } = listen(proxy.url, { heartbeatMs: 50, answerMs: 300 })
    await listens(1)
    proxy.cut()
    await listens(2)
    await store.query("select pg_notify('evt_two', 'b')")
    await until(() => heard.includes('evt_two b'))
  })

  it('goes on after its server was frozen, and closes while it is', async () => {
    await using server = await startPrivateServer({ version: 18 })
    const { listener, listens } = listen(server.url, { heartbeatMs: 50, answerMs: 300 })
    await listens(1)
    const signal = (name: NodeJS.Signals) => {
      for (const pid of [server.pid, ...childrenOf(server.pid)]) if (isRunning(pid)) process.kill(pid, name)
    }
    signal('SIGSTOP')
    await until(() => !listener.listening, { what: 'a loss that is noticed' })
    signal('SIGCONT')
    await listens(2)
    signal('SIGSTOP')
    const began = performance.now()
    await listener.close()
    expect(performance.now() - began).toBeLessThan(10_000)
    signal('SIGCONT')
  })
})
