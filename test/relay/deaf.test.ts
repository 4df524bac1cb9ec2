import { connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createRelay } from '../../src/relay/relay.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { readLease } from '../../src/store/lease.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent } from '../store/sequencer-writers.ts'

/** What a proxy between the relay and PostgreSQL does to a session that listens. */
type Blocking = 'swallows what is notified' | 'cuts who says LISTEN'

/** A pooler in transaction mode or a filter, in short: everything else passes. */
async function openProxy(url: string, blocking: Blocking): Promise<{ readonly url: string; blocked(): number }> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let blocked = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let rest: Buffer = Buffer.alloc(0)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => other.destroy())
    }
    client.on('data', (chunk) => {
      if (blocking === 'cuts who says LISTEN' && chunk.includes('listen evt_wake')) {
        blocked += 1
        client.destroy()
      } else upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      const read = readMessages(Buffer.concat([rest, chunk]))
      rest = read.rest
      for (const message of read.messages) {
        if (blocking === 'swallows what is notified' && message[0] === notification) blocked += 1
        else client.write(message)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const through = new URL(url)
  through.port = String((server.address() as { port: number }).port)
  return { url: through.href, blocked: () => blocked }
}

const notification = 'A'.charCodeAt(0)

/** Of the server: a type byte, the length of the rest with itself, the rest. The refusal of TLS is not asked for here. */
function readMessages(bytes: Buffer): { readonly messages: readonly Buffer[]; readonly rest: Buffer } {
  const messages: Buffer[] = []
  let at = 0
  while (bytes.length - at >= 5) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) break
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

const head = async (store: Store) => Number((await store.query('select evt.head() as head')).rows[0]?.head)

/** Parked, and between two looks: what it does right after parking or finding something would find the next event too. */
async function isAsleep(store: Store): Promise<boolean> {
  const { rows } = await store.query(
    `select (select last_value from evt.parked) = 2 and max(state_change) < clock_timestamp() - interval '50 ms' as asleep
     from pg_stat_activity where application_name = 'evt relay' and datname = current_database()`,
  )
  return rows[0]?.asleep === true
}

test.each<Blocking>(['swallows what is notified', 'cuts who says LISTEN'])(
  'events are found by looking when a proxy %s, and writers commit',
  async (blocking) => {
    const { store, url } = await createTestDatabase()
    const proxy = await openProxy(url, blocking)
    const own = await openStore(proxy.url, { applicationName: 'evt test proxied' })
    onTestFinished(() => own.close())
    await store.query(`alter database ${new URL(url).pathname.slice(1)} set evt.notify = 'on'`)
    const writer = await openStore(url, { applicationName: 'evt test writer' })
    onTestFinished(() => writer.close())
    const log = { info() {}, warn() {}, error() {} }
    const recorder = { sequenced() {}, leading() {} }
    const relay = createRelay({ store: own, instance: 'a', recorder, log })
    relay.start()
    onTestFinished(() => relay.stop())
    await until(async () => (await readLease(store)).leader === 'a')
    for (let n = 1; n <= 5; n += 1) {
      await until(() => isAsleep(store), { what: 'the relay sleeps' })
      await insertEvent(writer.pool as never, 'a', n)
      await until(async () => (await head(store)) === n, { withinMs: 2_000 })
    }
    expect(proxy.blocked(), 'the proxy had nothing to block').toBeGreaterThan(0)
  },
)
