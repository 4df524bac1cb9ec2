import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMasker } from '../../src/core/masker.ts'
import { createBridge } from '../../src/index.ts'
import { resolveHttp } from '../../src/serve/http-config.ts'
import { openHttpServer } from '../../src/serve/http-server.ts'
import { eventFields } from '../../src/serve/new-event.ts'
import { makeCertificate } from '../setup/certificate.ts'
import { createTestDatabase } from '../setup/database.ts'
import { startTcpProxy } from '../setup/tcp-proxy.ts'
import { until } from '../setup/until.ts'
import { registry } from './contracts.ts'
import { openApi } from './openapi.ts'
import { bearer, makeToken, serve, serveOn } from './served.ts'

type Json = Record<string, unknown>
const json = async (url: string) => (await (await fetch(url)).json()) as Json

describe('what HTTP tells', () => {
  it('is ready when the store answers and what its roles say runs', async () => {
    const { url, store } = await serve()
    expect(await json(`${url}/healthz`)).toEqual({ status: 'ok' })
    await until(async () => (await fetch(`${url}/readyz`)).status === 200)
    const database = await createTestDatabase()
    const alone = await serveOn(database, {}, { roles: ['http'] })
    const unled = { status: 'not ready', reasons: ['no relay leads: what is published waits'] }
    expect(await json(`${alone.url}/readyz`)).toEqual(unled)
    await serveOn(database, {}, { roles: ['relay'] })
    await until(async () => (await fetch(`${alone.url}/readyz`)).status === 200)
    expect(await json(`${alone.url}/readyz`)).toEqual({ status: 'ready', reasons: [] })
    await store.query('alter table evt.relay rename to relay_away')
    await until(async () => (await fetch(`${url}/readyz`)).status === 503)
    expect(await json(`${url}/readyz`)).toMatchObject({ status: 'not ready', reasons: ['the store is away'] })
    await store.query('alter table evt.relay_away rename to relay')
  })

  it('asks the store once for all who want to know whether it is ready', async () => {
    let asked = 0
    const server = await openHttpServer(resolveHttp({ port: 0 }), {
      tokens: { live: async () => [], used: async () => {} },
      denied: async () => {},
      health: async () => {
        asked += 1
        return []
      },
      stats: () => ({}),
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      masker: createMasker({ registry }),
      version: '1.0.0',
      report: { debug() {}, info() {}, warn() {}, error() {} },
    })
    onTestFinished(() => server.close(100))
    const answers = await Promise.all(Array.from({ length: 20 }, () => json(`${server.url}/readyz`)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['ready']))
    expect(asked).toBeLessThan(5)
    const before = asked
    await until(async () => (await json(`${server.url}/readyz`)) && asked > before)
  })

  it('tells of a bridge that takes no events in, and serves nothing else there', async () => {
    const { url } = await serve({}, { roles: ['relay'] })
    await until(async () => (await fetch(`${url}/readyz`)).status === 200)
    expect(await json(`${url}/stats`)).toMatchObject({ roles: ['relay'] })
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^evt_store_up 1$/m)
    expect(Object.keys((await json(`${url}/openapi.json`)).paths as object).sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/stats',
    ])
    for (const method of ['GET', 'POST']) expect((await fetch(`${url}/events`, { method })).status).toBe(404)
  })

  it('gives counters and histograms that can be added up', async () => {
    const { url, post } = await serve()
    await post({ type: 'user.created', data: { name: 'Ada' } })
    await until(async () => (await json(`${url}/stats`)).sequenced === 1)
    expect(await json(`${url}/stats`)).toMatchObject({ roles: ['relay', 'http'], stages: { relay: expect.anything() } })
  })

  it('describes itself as OpenAPI 3', async () => {
    const { url } = await serve()
    const document = openApi.parse(await json(`${url}/openapi.json`))
    expect(document.info).toMatchObject({ title: 'evt', version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    expect(Object.keys(document.paths).sort()).toEqual(['/events', '/healthz', '/metrics', '/readyz', '/stats'])
    const body = document.paths['/events']?.post?.requestBody
    const shape = body?.content['application/json']?.schema.oneOf as [{ properties: object }] | undefined
    expect(Object.keys(shape?.[0].properties ?? {}).sort()).toEqual([...eventFields].sort())
    expect(Object.keys(body?.content ?? {}).sort()).toEqual([
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
      'application/json',
    ])
    // Whoever reads it can tell apart what needs a token, and what may come back.
    const open = Object.entries(document.paths).filter(([, path]) => (path.get ?? path.post)?.security.length === 0)
    expect(open.map(([path]) => path)).toEqual(['/healthz', '/readyz'])
    expect(Object.keys(document.paths['/events']?.post?.responses ?? {})).toEqual([
      '202',
      '207',
      '400',
      '401',
      '403',
      '413',
      '415',
      '422',
      '429',
      '503',
    ])
  })

  it('says that the store is away, asks to come again, and goes on when it is back', async () => {
    const database = await createTestDatabase()
    const proxy = await startTcpProxy(Number(new URL(database.url).port))
    onTestFinished(() => proxy.close())
    const { url, post } = await serveOn({ ...database, url: proxy.through(database.url) }, {}, { roles: ['http'] })
    const event = { id: 'a', type: 'user.created', data: { name: 'Ada' } }
    expect((await post(event)).status).toBe(202)
    proxy.retarget(1)
    proxy.cut()
    await until(async () => (await fetch(`${url}/readyz`)).status === 503)
    const away = await post({ ...event, id: 'b' })
    expect(away).toMatchObject({ status: 503, body: { title: 'the store is away' } })
    expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    proxy.retarget(Number(new URL(database.url).port))
    await until(async () => (await post({ ...event, id: 'b' })).status === 202)
  })

  it('serves over TLS, takes a new certificate when the files change, and keeps the last one when they are wrong', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'evt-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    for (const name of ['one', 'two']) mkdirSync(join(directory, name))
    const [one, two] = ['one', 'two'].map((name) => makeCertificate(join(directory, name))) as [Made, Made]
    const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
    const use = ({ certFile, keyFile }: Made) => {
      copyFileSync(certFile, files.cert)
      copyFileSync(keyFile, files.key)
    }
    use(one)
    const { url, lines } = await serve({ tls: files })
    expect(await statusOver(url, one.ca)).toBe(200)
    use(two)
    await until(async () => (await statusOver(url, two.ca)) === 200)
    writeFileSync(files.key, 'no key')
    await until(() => lines.some((line) => line.includes('cannot serve HTTP over TLS')))
    expect(await statusOver(url, two.ca)).toBe(200)
  })

  it.each([
    ['is missing', undefined, 'no such file'],
    ['is none', 'nonsense', 'cannot serve HTTP over TLS'],
  ])('does not start with a certificate that %s', async (_, content, says) => {
    const { url } = await createTestDatabase()
    const directory = mkdtempSync(join(tmpdir(), 'evt-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
    if (content) for (const file of [tls.cert, tls.key]) writeFileSync(file, content)
    const bridge = createBridge({ store: url, registry, roles: ['http'], http: { port: 0, tls } })
    await expect(bridge.start()).rejects.toMatchObject({ code: 'config', message: expect.stringContaining(says) })
  })

  it('keeps tokens and bodies out of the log and of the store', async () => {
    const { url, post, store, lines } = await serve()
    const planted = 'planted-secret-4711'
    const token = await makeToken(store)
    const headers = { ...bearer(token), 'x-odd': planted }
    await post({ type: 'user.created', data: { name: 7, other: planted } }, headers)
    await post(`{"broken": "${planted}"`, headers)
    await post({ type: 'user.created', [planted]: 1, data: {} }, headers)
    await post({ type: 'user.created', data: { name: 'Ada' } }, bearer(`${token}x`))
    await fetch(`${url}/events?where=${planted}`, { headers })
    await fetch(`${url}/${planted}`, { headers })
    await store.query('alter table evt.outbox rename to outbox_away')
    const failed = await post({ type: 'user.created', data: { name: planted } }, headers)
    await store.query('alter table evt.outbox_away rename to outbox')
    expect(failed.status).toBe(500)
    expect(lines.join()).toContain('a request failed')
    expect(JSON.stringify(failed.body)).not.toContain('outbox')
    await until(async () => (await store.query("select from evt.audit where verb = 'http denied'")).rows.length > 0)
    const { rows } = await store.query(
      'select a::text as row from evt.audit a union all select t::text from evt.tokens t',
    )
    const seen = `${lines.join()}${rows.map(({ row }) => row).join()}`
    expect(seen).not.toContain(planted)
    expect(seen).not.toContain(token)
  })
})

type Made = ReturnType<typeof makeCertificate>

/** Undefined while the server shows another certificate. */
function statusOver(url: string, ca: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = get(`${url}/healthz`, { ca, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.on('error', () => resolve(undefined))
  })
}
