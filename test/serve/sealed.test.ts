import { createHash, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { createRegistry, defineEvent, sensitive } from '../../src/index.ts'
import { until } from '../setup/until.ts'
import { bearer, logged, makeToken, serve } from './served.ts'

const secret = z.object({ email: sensitive(z.email(), { encrypt: true }), n: z.number().optional() })
const registered = defineEvent('user.registered', { 1: secret })
const plain = defineEvent('user.created', { 1: z.object({}) })
const registry = createRegistry([registered, plain])
const open = (http = {}) => serve(http, { registry, privacy: { masterKey: randomBytes(32).toString('base64') } })
const person = (subject: string, more: object = {}) => ({
  type: 'user.registered',
  subject,
  data: { email: 'ada@lovelace.org' },
  ...more,
})

it('refuses one event whose subject can have no key, by itself, and makes no key for what is refused', async () => {
  const { post, store } = await open()
  const good = { type: 'user.created', data: {} }
  for (const [subject, reason] of [
    ['', /nobody is named whose key that is/],
    ['a\0b', /nobody of that name can have a key/],
    ['a\ud800b', /nobody of that name can have a key/],
    [randomBytes(20_000).toString('hex'), /nobody of that name can have a key/],
  ] as const) {
    const { status, body } = await post([good, person(subject), person('user/1')])
    expect(status, subject.slice(0, 10)).toBe(207)
    expect(body.events).toMatchObject([
      { outcome: 'stored' },
      { outcome: 'refused', code: 'contract' },
      { outcome: 'stored' },
    ])
    expect(body.events[1]?.reason).toMatch(reason)
  }
  const token = bearer(await makeToken(store, { scopes: ['publish'], types: ['user.created'] }))
  expect((await post(person('user/2'), token)).status).toBe(403)
  expect((await post(person('user/3', { data: { email: 7 } }))).status).toBe(422)
  expect((await post(person('user/4', { traceparent: '\0' }))).status).toBe(422)
  expect((await store.query('select subject from evt.subject_keys')).rows).toEqual([{ subject: 'user/1' }])
})

it('compares a checksum with the data as it was sent, and keeps the digits of what is not sealed', async () => {
  const { post, store } = await open()
  const sent = '{"email":"ada@lovelace.org","n":12345678901234567890}'
  const send = (checksum: string, id: string) =>
    post(`{"id":"${id}","type":"user.registered","subject":"user/1","checksum":"${checksum}","data":${sent}}`)
  const right = createHash('sha256').update(sent).digest('hex')
  expect((await send('0'.repeat(64), 'wrong')).body.events).toMatchObject([{ outcome: 'refused', code: 'checksum' }])
  expect((await send(right, 'big')).body.events).toMatchObject([{ id: 'big', outcome: 'stored' }])
  await until(async () => (await logged(store)).length === 1)
  expect((await send(right, 'big')).body.events).toMatchObject([{ id: 'big', outcome: 'duplicate' }])
  const short = { email: 'ada@lovelace.org' }
  const ofShort = createHash('sha256').update(JSON.stringify(short)).digest('hex')
  expect((await post(person('user/1', { checksum: ofShort }))).status).toBe(202)
  const { rows } = await store.query(`select data::text as data, checksum from evt.outbox where id = 'big'`)
  expect(rows[0]?.data).toMatch(/^\{"email":"evt:sealed:1:[^"]+","n":12345678901234567890\}$/)
  expect(rows[0]?.checksum).toBe(createHash('sha256').update(String(rows[0]?.data)).digest('hex'))
})
