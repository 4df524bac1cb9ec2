import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createMasker } from '../../src/core/masker.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineEvent, sensitive } from '../../src/index.ts'
import { resolveHttp } from '../../src/serve/http-config.ts'
import { openHttpServer } from '../../src/serve/http-server.ts'
import { createLogReader } from '../../src/store/log.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { connectRaw } from './raw.ts'
import { idsOf, readStream } from './read-stream.ts'
import { bearer, logged, makeToken, serve } from './served.ts'

const user = (id: string) => ({ id, type: 'user.created', subject: `user/${id}`, data: { name: `name of ${id}` } })
const order = (id: string, card?: string) => ({
  id,
  type: 'order.placed',
  data: { total: 7, ...(card ? { card } : {}) },
})
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => user(`u${from + i}`))

describe('GET /events', () => {
  it('gives what is published from now on, as CloudEvents, by pattern and expression', async () => {
    const { url, post, store } = await serve()
    await post(user('before'))
    await until(async () => (await logged(store)).length === 1)
    const [all, some] = [
      await readStream(`${url}/events`),
      await readStream(
        `${url}/events?pattern=order.*&pattern=user.*&where=${encodeURIComponent("subject == 'user/b'")}`,
      ),
    ]
    await post([user('a'), user('b'), order('c')])
    await until(() => all.messages.length === 3 && some.messages.length === 1)
    expect(idsOf(all.messages)).toEqual(['a', 'b', 'c'])
    expect(idsOf(some.messages)).toEqual(['b'])
    expect(JSON.parse(some.messages[0]?.data ?? '')).toMatchObject({
      specversion: '1.0',
      type: 'user.created',
      data: { name: 'name of b' },
      evt: { transport: 'postgres', position: some.messages[0]?.id },
    })
  })

  it('hides what looks personal and shows pseudonyms where the configuration says so, also to expressions', async () => {
    const sent = defineEvent('note.sent', {
      1: z.object({ to: z.string(), by: sensitive(z.string(), { pseudonym: true }), n: z.number() }),
    })
    const privacy = { detect: 'mask', pseudonymKey: 'a long key of this test' } as const
    const { url, post } = await serve({}, { registry: createRegistry([sent]), privacy })
    const reading = await readStream(`${url}/events?where=${encodeURIComponent('data.n == 1')}`)
    const asking = await readStream(`${url}/events?where=${encodeURIComponent("data.to ~ 'ada'")}`)
    await post([1, 2].map((n) => ({ type: 'note.sent', data: { to: 'ada@lovelace.org', by: 'charles', n } })))
    await until(() => reading.messages.length === 1)
    const { data } = JSON.parse(reading.messages[0]?.data ?? '')
    expect(data).toEqual({ to: '***', by: expect.not.stringMatching(/charles|\*/), n: 1 })
    expect(asking.messages).toEqual([])
  })

  it('goes on after Last-Event-ID without a loss and without a second one, however often it breaks', async () => {
    const { url, post } = await serve()
    const got: string[] = []
    let last: string | undefined
    const writing = (async () => {
      for (let n = 0; n < 40; n++) await post(numbered(n * 25, n * 25 + 25))
    })()
    for (let breaks = 0; got.length < 1_000; breaks++) {
      const headers = last === undefined ? {} : { 'last-event-id': last }
      const reading = await readStream(`${url}/events?since=start`, headers as Record<string, string>)
      const few = 37 * (breaks + 1)
      await until(() => reading.messages.length >= few || got.length + reading.messages.length >= 1_000)
      reading.cancel()
      await reading.ended
      got.push(...idsOf(reading.messages))
      last = reading.lastId()
    }
    await writing
    expect(got).toEqual(numbered(0, 1_000).map(({ id }) => id))
  })

  it('says 410 for a place that retention took, and where a stream meets such a gap', async () => {
    const { url, post, store } = await serve()
    await post(numbered(0, 10))
    await until(async () => (await logged(store)).length === 10)
    // As it is when the days of some classes are gone.
    await store.query('alter table evt.log disable trigger all; delete from evt.log where position in (3, 4, 8)')
    const gone = await readStream(`${url}/events`, { 'last-event-id': '2' })
    expect(gone.status).toBe(410)
    expect(gone.title).toContain('after position 2 is gone')
    const later = await readStream(`${url}/events`, { 'last-event-id': '5' })
    await until(() => later.messages.length === 5)
    expect(later.messages.map(({ event, id }) => event ?? id)).toEqual(['6', '7', 'gap', '9', '10'])
    const since = await readStream(`${url}/events?since=position:9`)
    await until(() => since.messages.length === 2)
    expect(since.messages.map(({ id }) => id)).toEqual(['9', '10'])
    expect(JSON.parse(later.messages[2]?.data ?? '')).toEqual({ from: '8', to: '8', reason: 'retention' })
    const beyond = await readStream(`${url}/events`, { 'last-event-id': '11' })
    expect(beyond.status).toBe(410)
  })

  it('masks what contracts call sensitive, also for expressions', async () => {
    const { url, post } = await serve()
    const where = encodeURIComponent("data.card ~ '^4111'")
    const [plain, guessing] = [await readStream(`${url}/events`), await readStream(`${url}/events?where=${where}`)]
    await post([order('a', '4111-secret'), order('b')])
    await until(() => plain.messages.length === 2)
    expect(JSON.parse(plain.messages[0]?.data ?? '')).toMatchObject({ data: { total: 7, card: '***' } })
    expect(plain.text()).not.toContain('4111')
    // Of what is hidden, values could be tried until a checksum fits.
    const [masked, open] = plain.messages.map(({ data }) => JSON.parse(data))
    expect([masked, open].map((event) => JSON.stringify(event).includes('checksum'))).toEqual([false, true])
    expect(guessing.messages).toEqual([])
  })

  it('is not there in a process without the role http, which says so', async () => {
    const { url } = await serve({}, { roles: ['relay'] })
    const reading = await readStream(`${url}/events`)
    expect(reading).toMatchObject({ status: 404, title: expect.stringContaining('has not the role http') })
  })

  it('shows signs of life, with the place that nothing to show was found up to', async () => {
    const { url, post, store } = await serve({ heartbeat: '50ms' })
    const reading = await readStream(`${url}/events?pattern=user.*`)
    await until(() => reading.text().includes(': still here'))
    await post([order('a'), order('b')])
    await until(async () => (await logged(store)).length === 2)
    await until(() => reading.lastId() === '2')
    expect(reading.messages).toEqual([])
  })

  it.each([
    ['pattern=user.cre*', 400],
    ['where=data.%3D', 400],
    ['since=noon', 400],
    ['follow=1', 400],
    ['since=position:abc', 400],
  ])('refuses ?%s', async (query, status) => {
    const { url } = await serve()
    const reading = await readStream(`${url}/events?${query}`)
    expect(reading.status).toBe(status)
    expect(reading.title).not.toBe('')
  })

  it('gives a token the types that it has, and ends its streams when it is revoked', async () => {
    const { url, post, store } = await serve({ requireToken: true }, {}, (own) => makeToken(own, { name: 'all' }))
    const token = await makeToken(store, { name: 'users', scopes: ['read'], types: ['user.*'] })
    const all = bearer(await makeToken(store, { name: 'writer' }))
    const headers = bearer(token)
    await until(async () => (await fetch(`${url}/stats`, { headers })).status === 403)
    expect((await readStream(`${url}/events?pattern=order.placed`, headers)).status).toBe(403)
    expect((await readStream(`${url}/events?pattern=order.*`, headers)).status).toBe(403)
    const reading = await readStream(`${url}/events`, headers)
    await until(async () => (await post([order('a'), user('b')], all)).status === 202)
    await until(() => reading.messages.length >= 1)
    expect(idsOf(reading.messages)[0]).toBe('b')
    await store.query("update evt.tokens set revoked_at = now() where name = 'users'")
    await reading.ended
    expect(reading.messages.at(-1)).toMatchObject({ event: 'end', data: expect.stringContaining('revoked') })
    expect((await readStream(`${url}/events`, headers)).status).toBe(401)
  })

  it('has room for so many streams, and for another one when one has gone', async () => {
    const { url } = await serve({ maxStreams: 1 })
    const first = await readStream(`${url}/events`)
    expect((await readStream(`${url}/events`)).status).toBe(503)
    first.cancel()
    await until(async () => (await readStream(`${url}/events`)).status === 200)
  })

  it('reads no further than a reader takes', async () => {
    const { store, url } = await createTestDatabase()
    await store.query(
      `select evt.publish('user.created', json_build_object('name', repeat('x', 20000))) from generate_series(1, 3000)`,
    )
    const { sequence } = await import('../commands/sequence.ts')
    await sequence(store)
    const log = createLogReader(store)
    let read = 0
    const counted = {
      ...log,
      async read(after: bigint, max: number) {
        const entries = await log.read(after, max)
        read += entries.length
        return entries
      },
    }
    const quiet = { debug() {}, info() {}, warn() {}, error() {} }
    const server = await openHttpServer(resolveHttp({ port: 0 }), {
      events: { publish: async () => [], log: counted },
      tokens: { live: async () => [], used: async () => {} },
      denied: async () => {},
      health: async () => [],
      stats: () => ({}),
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      masker: createMasker({ registry: createRegistry([]) }),
      version: '0',
      report: quiet,
    })
    onTestFinished(async () => {
      await server.close(0)
      await log.close()
    })
    expect(url).toBeTruthy()
    const client = await connectRaw(server.url)
    client.socket.pause()
    client.write('GET /events?since=start HTTP/1.1\r\nhost: localhost\r\n\r\n')
    let before = -1
    await until(async () => {
      const stands = read > 0 && read === before
      before = read
      await delay(200)
      return stands
    })
    // 60 MB are there; what sockets and one page hold is a few.
    expect(read).toBeLessThan(1_500)
    client.socket.resume()
    await until(() => read === 3_000, { withinMs: 20_000 })
  })
})
