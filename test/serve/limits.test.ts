import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { until } from '../setup/until.ts'
import { connectRaw } from './raw.ts'
import { bearer, logged, makeToken, serve } from './served.ts'

const user = (id: string) => JSON.stringify({ id, type: 'user.created', data: { name: 'Ada' } })
const request = (body: string, more = '') =>
  `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`

describe('limits of HTTP', () => {
  it('count requests by token, else by address, and say when to come again', async () => {
    const { url, store } = await serve({ rate: { requests: 5, window: '1m' } })
    const token = await makeToken(store)
    const get = (headers = {}) => fetch(`${url}/stats`, { headers })
    for (let n = 0; n < 5; n++) expect((await get()).status).toBe(200)
    const refused = await get()
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await get(bearer('a-guess'))).status).toBe(429)
    expect((await get(bearer(token))).status).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('refuse a body of 1 GiB while it comes', async () => {
    const { url } = await serve({ bodyLimit: 64 * 1024 })
    const rss = process.memoryUsage().rss
    const told = await connectRaw(url)
    told.write(
      `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${2 ** 30}\r\n\r\n`,
    )
    await until(() => told.text().includes('HTTP/1.1 413'))
    const chunked = await connectRaw(url)
    chunked.write(
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const drained = () => new Promise((resolve) => chunked.socket.once('drain', resolve))
    let sent = 0
    let isClosed = false
    void chunked.closed.then(() => {
      isClosed = true
    })
    while (!isClosed && sent < 2 ** 30) {
      sent += chunk.length
      if (!chunked.socket.write(chunk)) await Promise.race([drained(), chunked.closed])
    }
    expect(isClosed).toBe(true)
    expect(sent).toBeLessThan(2 ** 28)
    expect(process.memoryUsage().rss - rss).toBeLessThan(300 * 1024 * 1024)
  })

  it.each([
    ['headers', { headersTimeout: '200ms', requestTimeout: '1m' }, 'POST /events HTTP/1.1\r\nhost: localhost\r\n'],
    ['body', { headersTimeout: '200ms', requestTimeout: '400ms' }, request(' '.repeat(10_000)).slice(0, -9_990)],
  ])('end a client that drips its %s', async (_, http, begun) => {
    const { url } = await serve(http)
    const client = await connectRaw(url)
    client.write(begun)
    let over = false
    void client.closed.then(() => {
      over = true
    })
    await until(async () => {
      if (client.socket.writable) client.write('x')
      await delay(20)
      return over
    })
    expect(client.text()).toContain('HTTP/1.1 408')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('end a connection on which nothing moves', async () => {
    const { url } = await serve({ idleTimeout: '100ms' })
    const client = await connectRaw(url)
    await client.closed
  })

  it('refuse headers without end', async () => {
    const { url } = await serve()
    const client = await connectRaw(url)
    client.write(`GET /stats HTTP/1.1\r\nhost: localhost\r\n${`x-bomb: ${'b'.repeat(1_000)}\r\n`.repeat(40)}\r\n`)
    await until(() => client.text().includes('HTTP/1.1 431'))
  })

  it('answer requests that come in one piece, each in its turn', async () => {
    const { url, store } = await serve()
    const client = await connectRaw(url)
    client.write(request(user('a')) + request('nonsense') + request(user('b'), 'connection: close\r\n'))
    await client.closed
    const statuses = [...client.text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    expect(statuses).toEqual(['202', '400', '202'])
    await until(async () => (await logged(store)).length === 2)
  })

  it.each([
    ['no HTTP at all', '\u0016\u0003\u0001\r\n\r\n', 'HTTP/1.1 400'],
    [
      'two lengths',
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}',
      'HTTP/1.1 400',
    ],
    [
      'a length and chunks',
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 400',
    ],
    ['no host', 'GET /stats HTTP/1.1\r\n\r\n', 'HTTP/1.1 400'],
  ])('refuse %s', async (_, text, answer) => {
    const { url } = await serve()
    const client = await connectRaw(url)
    client.write(text)
    await until(() => client.text().includes(answer))
  })
})
