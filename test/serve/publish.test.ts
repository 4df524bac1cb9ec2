import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../setup/until.ts'
import { logged, type Served, serve } from './served.ts'

const user = (id: string, name = 'Ada') => ({ id, type: 'user.created', subject: 'user/1', data: { name } })

describe('POST /events', () => {
  it('stores an event and a list of them, and answers after the commit', async () => {
    const { post, store } = await serve()
    const one = await post({ type: 'user.created', data: { name: 'Ada' } })
    expect(one).toMatchObject({ status: 202, body: { stored: 1, events: [{ outcome: 'stored' }] } })
    const { rows } = await store.query('select id from evt.outbox')
    expect(rows.map(({ id }) => id)).toEqual([one.body.events[0]?.id])
    const two = await post([user('a'), user('b')])
    expect(two.body).toMatchObject({ stored: 2, events: [{ id: 'a' }, { id: 'b' }] })
  })

  it('says of each event of a list whether it was stored, and a second try adds only what was refused', async () => {
    const { post, store } = await serve()
    const wrong = { ...user('b'), data: { name: 7 } }
    const first = await post([user('a'), wrong, user('a'), user('c')])
    expect(first.status).toBe(207)
    expect(first.body.events).toMatchObject([
      { id: 'a', outcome: 'stored' },
      { id: 'b', outcome: 'refused', code: 'contract', reason: expect.stringContaining('data.name') },
      { id: 'a', outcome: 'duplicate' },
      { id: 'c', outcome: 'stored' },
    ])
    await until(async () => (await logged(store)).length === 2)
    const again = await post([user('a'), user('b'), user('c')])
    expect(again.status).toBe(202)
    expect(again.body.events.map(({ outcome }) => outcome)).toEqual(['duplicate', 'stored', 'duplicate'])
    await until(async () => (await logged(store)).length === 3)
    expect((await logged(store)).map(({ id }) => id)).toEqual(['a', 'c', 'b'])
  })

  it('refuses other data under an id that is there, and the store keeps what was refused', async () => {
    const { post, store } = await serve()
    await post(user('a', 'Ada'))
    await until(async () => (await logged(store)).length === 1)
    const other = await post(user('a', 'Bob'))
    expect(other).toMatchObject({ status: 422, body: { events: [{ id: 'a', outcome: 'refused', code: 'conflict' }] } })
    await until(async () => (await store.query('select from evt.refused')).rows.length === 1)
    expect(await logged(store)).toMatchObject([{ id: 'a', data: '{"name":"Ada"}' }])
  })

  it('refuses by its name a time of the year 0, and a traceparent that is none', async () => {
    const { post } = await serve()
    const odd = { time: '0000-01-01T00:00:00Z', deliverAt: '0000-01-01T00:00:00Z', traceparent: 'zz' }
    const { status, body } = await post(Object.entries(odd).map(([name, value]) => ({ ...user(name), [name]: value })))
    expect(status).toBe(422)
    expect(body.events).toMatchObject(
      Object.keys(odd).map((name) => ({
        id: name,
        outcome: 'refused',
        code: 'contract',
        reason: expect.stringContaining(name),
      })),
    )
    const ce = { specversion: '1.0', id: 'ce', source: 'shop', type: 'user.created', data: { name: 'Ada' } }
    const odder = await post({ ...ce, traceparent: 'zz' }, { 'content-type': 'application/cloudevents+json' })
    expect(odder.body.events).toMatchObject([{ id: 'ce', reason: expect.stringContaining('traceparent') }])
  })

  it('reads CloudEvents: structured, as a batch and binary', async () => {
    const { post, url, store } = await serve()
    const ce = { specversion: '1.0', source: 'shop', type: 'user.created', datacontenttype: 'application/json' }
    const structured = { ...ce, id: 's', subject: 'user/1', data: { name: 'Ada' } }
    const batch = [
      { ...ce, id: 'b1', data: { name: 'Bob' } },
      { ...ce, id: 'b2', data_base64: btoa('{"name":"Cleo"}') },
    ]
    expect((await post(structured, { 'content-type': 'application/cloudevents+json; charset=utf-8' })).status).toBe(202)
    expect((await post(batch, { 'content-type': 'application/cloudevents-batch+json' })).status).toBe(202)
    const binary = await fetch(`${url}/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...{
          'ce-specversion': '1.0',
          'ce-id': 'bin',
          'ce-source': '/caf%C3%A9',
          'ce-type': 'user.created',
          'ce-subject': 'user/9',
        },
      },
      body: '{"name": "Dora"}',
    })
    expect(binary.status).toBe(202)
    await until(async () => (await logged(store)).length === 4)
    const { rows } = await store.query('select id, source, subject, data::text as data from evt.outbox order by seq')
    expect(rows).toEqual([
      { id: 's', source: 'shop', subject: 'user/1', data: '{"name":"Ada"}' },
      { id: 'b1', source: 'shop', subject: null, data: '{"name":"Bob"}' },
      { id: 'b2', source: 'shop', subject: null, data: '{"name":"Cleo"}' },
      { id: 'bin', source: '/café', subject: 'user/9', data: '{"name": "Dora"}' },
    ])
  })

  it('keeps the digits of numbers that JavaScript cannot hold', async () => {
    const { post, store } = await serve()
    const sent = '[{"id":"big","type":"user.created","data":{"name":"Ada","n":12345678901234567890}}]'
    expect((await post(sent)).status).toBe(202)
    const { rows } = await store.query('select data::text as data, checksum from evt.outbox')
    const text = '{"name":"Ada","n":12345678901234567890}'
    expect(rows).toEqual([{ data: text, checksum: createHash('sha256').update(text).digest('hex') }])
  })

  it('takes SQL for text', async () => {
    const { post, store } = await serve()
    const odd = `'); drop table evt.outbox; --`
    const event = {
      ...user(odd),
      source: odd,
      subject: odd,
      tenant: odd,
      correlationId: odd,
      metadata: { [odd]: odd },
      data: { name: odd },
    }
    expect((await post(event)).status).toBe(202)
    const { rows } = await store.query('select id, subject, metadata from evt.outbox')
    expect(rows).toEqual([{ id: odd, subject: odd, metadata: { [odd]: odd } }])
  })
})

describe('POST /events with bad input', () => {
  let served: Served
  beforeAll(async () => {
    served = await serve()
  })
  afterAll(async () => {
    await served.stop()
    await served.database[Symbol.asyncDispose]()
  })

  it.each([
    ['a piece of JSON', '{"type":', 400, 'the body is no JSON'],
    ['an empty list', '[]', 400, 'the list holds no event'],
    [
      'too much data',
      JSON.stringify({ type: 'user.created', data: { name: 'x'.repeat(1100 * 1024) } }),
      413,
      undefined,
    ],
    ['a long body', JSON.stringify(user('x', 'x'.repeat(5_000_000))), 413, 'the body is longer than 4 MiB'],
    [
      'a long list',
      JSON.stringify(Array.from({ length: 10_001 }, () => 1)),
      413,
      'more than 10,000 events in one request',
    ],
  ])('answers %s with %i', async (_, body, status, title) => {
    const { post, store } = served
    const answer = await post(body)
    expect(answer.status).toBe(status)
    if (title) expect(answer.body.title).toBe(title)
    expect((await store.query('select from evt.outbox')).rows).toEqual([])
  })

  it.each([
    [{ type: 'user.created' }, 'contract', 'data is missing'],
    [{ data: {} }, 'contract', 'type is missing'],
    [{ type: 'user.created', data: { name: 'a' }, subjekt: 'x' }, 'contract', 'there is no field subjekt'],
    [{ type: 'user.created', data: { name: 'a' }, metadata: { a: [] } }, 'contract', 'metadata'],
    [{ type: 'user.created', data: { name: 'a' }, actor: { userId: 7 } }, 'contract', 'actor'],
    [{ type: 'user.created', data: { name: 'a' }, checksum: '0'.repeat(64) }, 'checksum', 'not of this data'],
    [{ type: 'user.vanished', data: {} }, 'unknown-type', 'no contract of that type'],
    [{ type: 'user.created', version: 9, data: { name: 'a' } }, 'unknown-type', 'up to v1'],
    [{ type: 'user.created', time: 'yesterday', data: { name: 'a' } }, 'contract', 'RFC 3339'],
    [
      { type: 'user.created', time: '0000-01-01T00:00:00.000Z', data: { name: 'a' } },
      'contract',
      'time lies before the year 1',
    ],
    [{ type: 'user.created', subject: 'a\0b', data: { name: 'a' } }, 'contract', 'U+0000'],
    [{ type: 'user.created', tenant: "'; drop table evt.outbox; --\0", data: { name: 'a' } }, 'contract', 'U+0000'],
    [7, 'decode', 'no JSON object'],
    [{ specversion: '0.3', type: 'user.created' }, 'decode', 'specversion'],
  ])('refuses %j with what is wrong with it, and not the others', async (bad, code, reason) => {
    const { post } = served
    const good = { type: 'order.placed', data: { total: 1 } }
    const answer = await post([bad, { ...good, id: undefined }])
    expect(answer.status).toBe(207)
    expect(answer.body.events).toMatchObject([
      { outcome: 'refused', code, reason: expect.stringContaining(reason) },
      { outcome: 'stored' },
    ])
  })

  it.each([
    '{"type":"user.created","data":{"name":"a","__proto__":{"admin":true}}}',
    '{"type":"user.created","data":{"name":"a","\\u005f_proto__":{"admin":true}}}',
    '{"type":"user.created","__proto__":{"admin":true},"data":{"name":"a"}}',
    '{"type":"user.created","data":{"name":"a","list":[{"constructor":{"prototype":{"admin":true}}}]}}',
  ])('refuses keys that reach prototypes: %s', async (body) => {
    const { post } = served
    const answer = await post(body)
    expect(answer).toMatchObject({ status: 422, body: { events: [{ outcome: 'refused', code: 'contract' }] } })
    expect((Object.prototype as { admin?: unknown }).admin).toBeUndefined()
  })

  it.each([
    [{ 'content-type': 'text/plain' }, 415],
    [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }, 415],
  ])('refuses bodies of %j', async (headers, status) => {
    const { post } = served
    expect((await post(user('a'), headers as Record<string, string>)).status).toBe(status)
  })
})
