import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBridge } from '../../src/index.ts'
import { resolveHttp } from '../../src/serve/http-config.ts'
import { listTokens, revokeToken } from '../../src/store/tokens.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { registry } from './contracts.ts'
import { connectRaw } from './raw.ts'
import { bearer, makeToken, type Served, serve } from './served.ts'

const user = { type: 'user.created', data: { name: 'Ada' } }
const nobody = async () => {}

describe('tokens of HTTP', () => {
  let served: Served
  let token: string
  beforeAll(async () => {
    served = await serve({ requireToken: true }, {}, async (store) => {
      token = await makeToken(store)
    })
  })
  afterAll(async () => {
    await served.stop()
    await served.database[Symbol.asyncDispose]()
  })
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(`${served.url}${path}`, { headers })).status

  it('open what their scopes say, and nothing is open without one but health', async () => {
    const { post, store } = served
    const reader = bearer(await makeToken(store, { name: 'reader', scopes: ['read'] }))
    const operator = bearer(await makeToken(store, { name: 'operator', scopes: ['operate'] }))
    await until(async () => (await status('/stats', operator)) === 200)
    expect((await post(user, bearer(token))).status).toBe(202)
    expect((await post(user, reader)).status).toBe(403)
    expect((await post(user, operator)).status).toBe(403)
    expect((await post(user)).status).toBe(401)
    expect(await status('/stats', reader)).toBe(200)
    expect(await status('/events', operator)).toBe(403)
    expect(await status('/metrics', operator)).toBe(200)
    for (const path of ['/stats', '/metrics', '/events']) expect(await status(path)).toBe(401)
    for (const path of ['/healthz', '/readyz', '/openapi.json']) expect(await status(path)).toBe(200)
    expect(await status('/nothing')).toBe(404)
  })

  it('are for the types that they have', async () => {
    const { post, store } = served
    const users = bearer(await makeToken(store, { name: 'users', scopes: ['publish'], types: ['user.*'] }))
    const order = { type: 'order.placed', data: { total: 1 } }
    await until(async () => (await post(user, users)).status === 202)
    const mixed = await post([user, order], users)
    expect(mixed).toMatchObject({
      status: 207,
      body: { events: [{ outcome: 'stored' }, { outcome: 'refused', code: 'refused' }] },
    })
    expect((await post(order, users)).status).toBe(403)
    await until(async () => {
      const { rows } = await store.query(
        "select from evt.audit where who = 'token users' and reason like 'events of types%'",
      )
      return rows.length === 1
    })
    const { rows } = await store.query("select from evt.outbox where type = 'order.placed'")
    expect(rows).toEqual([])
  })

  it.each([
    ['Bearer nonsense', 'unknown'],
    ['Bearer ', 'unknown'],
    ['Basic dTpw', 'unknown'],
    [`Bearer ${'x'.repeat(2_000)}`, 'unknown'],
    ["Bearer ' or 1=1 --", 'unknown'],
  ])('%s is none', async (authorization, says) => {
    const answer = await served.post(user, { authorization })
    expect(answer).toMatchObject({ status: 401, body: { title: expect.stringContaining(says) } })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="evt"')
  })

  it('see numbers of all types with the scope operate or with all types only', async () => {
    const { store } = served
    const some = bearer(await makeToken(store, { name: 'some', scopes: ['read'], types: ['user.*'] }))
    const boss = bearer(await makeToken(store, { name: 'boss', scopes: ['operate'], types: ['user.*'] }))
    await until(async () => (await status('/stats', boss)) === 200)
    for (const path of ['/stats', '/metrics']) expect(await status(path, some)).toBe(403)
    expect(await (await fetch(`${served.url}/stats`, { headers: some })).json()).toMatchObject({
      title: 'this tells of every type, and this token has only user.*',
      hint: expect.stringContaining('--scope operate'),
    })
    expect(await status('/metrics', boss)).toBe(200)
  })

  it('that nobody can read open nothing, are told once and shut nobody out', async () => {
    const { post, store, lines } = served
    const odd = await makeToken(store, { name: 'odd' })
    await store.query(`update evt.tokens set types = '{"not a pattern!"}' where name = 'odd'`)
    const told = () => lines.filter((line) => line.includes('cannot use token odd'))
    await until(async () => {
      expect((await post(user, bearer(token))).status).toBe(202)
      return told().length > 0
    })
    expect((await post(user, bearer(odd))).status).toBe(401)
    const later = bearer(await makeToken(store, { name: 'later' }))
    await until(async () => (await post(user, later)).status === 202)
    expect(told()).toHaveLength(1)
  })

  it('expire, are revoked, and are known by their last use', async () => {
    const { post, store } = served
    const short = await makeToken(store, { name: 'short', expiresAt: new Date(Date.now() + 1_500) })
    await until(async () => (await post(user, bearer(short))).status === 202)
    await until(async () => (await post(user, bearer(short))).status === 401)
    await revokeToken(store, 'short', nobody).then((found) => expect(found).toBe(true))
    const again = await makeToken(store, { name: 'short' })
    expect(again).toMatch(/^evt_[\w-]{43}$/)
    await until(async () => (await post(user, bearer(again))).status === 202)
    await revokeToken(store, 'short', nobody)
    await until(async () => (await post(user, bearer(again))).status === 401)
    await until(async () => (await listTokens(store)).find(({ name }) => name === 'short')?.usedAt !== null)
    const { rows } = await store.query('select t::text as row from evt.tokens t')
    expect(rows.map(({ row }) => row).join()).not.toContain(again.slice(4))
  })

  it('fill the audit log with few rows, however many are denied', async () => {
    const { store, post } = served
    const before = await denials(store)
    for (let n = 0; n < 60; n++) await post(user, bearer(`guess-${n}`))
    await until(async () => (await denials(store)).times - before.times >= 60, { withinMs: 20_000 })
    expect((await denials(store)).rows - before.rows).toBeLessThanOrEqual(1)
    const { rows } = await store.query(
      "select who, target, reason, details::text from evt.audit where verb = 'http denied'",
    )
    expect(rows).toContainEqual({
      who: 'address 127.0.0.1',
      target: 'POST /events',
      reason: 'this token is unknown, expired or revoked',
      details: '{}',
    })
    expect(JSON.stringify(rows)).not.toContain('guess')
  })
})

async function denials(store: Served['store']): Promise<{ rows: number; times: number }> {
  const { rows } = await store.query(
    "select count(*)::int as rows, coalesce(sum(affected), 0)::int as times from evt.audit where verb = 'http denied'",
  )
  return rows[0] as { rows: number; times: number }
}

describe('the address of HTTP', () => {
  it('is of this machine alone while there is no token', async () => {
    const { url } = await createTestDatabase()
    const bridge = createBridge({ store: url, registry, roles: ['http'], http: { port: 0, host: '0.0.0.0' } })
    await expect(bridge.start()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('cannot serve HTTP on 0.0.0.0'),
      hint: expect.stringContaining('evt token create'),
    })
    expect(() => resolveHttp({ host: '10.0.0.1', requireToken: false })).toThrow('requireToken is false')
  })

  it('may be of others when there is one, and asks for it', async () => {
    const served = await serve({ host: '0.0.0.0' }, {}, (store) => makeToken(store))
    const url = served.url.replace('0.0.0.0', '127.0.0.1')
    expect((await fetch(`${url}/stats`)).status).toBe(401)
  })

  it('is answered under its own names only, so that no web page reaches it under one of its own', async () => {
    const { url } = await serve()
    const client = await connectRaw(url)
    client.write('GET /stats HTTP/1.1\r\nhost: evil.example:80\r\n\r\n')
    await until(() => client.text().includes('HTTP/1.1 403'))
    expect(client.text()).toContain('only the names of this machine')
    expect((await fetch(`${url.replace('127.0.0.1', 'localhost')}/stats`)).status).toBe(200)
  })

  it('is said by whoever asks for HTTP', async () => {
    const { url: store } = await createTestDatabase()
    const bridge = createBridge({ store, registry, roles: ['http'] })
    await expect(bridge.start()).rejects.toMatchObject({ code: 'config', hint: expect.stringContaining('port: 8080') })
    await bridge.stop()
  })

  it('is one that nobody else has', async () => {
    const { url } = await serve()
    const port = Number(new URL(url).port)
    const { url: store } = await createTestDatabase()
    const bridge = createBridge({ store, registry, roles: ['http'], http: { port } })
    await expect(bridge.start()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('EADDRINUSE'),
    })
  })
})
