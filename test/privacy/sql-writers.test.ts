import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  type BridgeOptions,
  createBridge,
  createPublisher,
  createRegistry,
  defineEvent,
  defineService,
  sensitive,
} from '../../src/index.ts'
import { addCapture } from '../../src/store/capture.ts'
import type { Store } from '../../src/store/connection.ts'
import { replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Message } from '../../src/transports/transport.ts'
import { memoryUrl } from '../relay/sinking.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { tablesWith } from './planted.ts'

const secret = 'ada@lovelace.org'
const plain = z.object({ email: z.email().optional() })
const registered = defineEvent('user.registered', {
  1: plain,
  2: {
    schema: z.object({
      email: sensitive(z.email(), { encrypt: true }).optional(),
      cards: z.array(z.object({ no: sensitive(z.string(), { encrypt: true }) })).default([]),
    }),
    upcast: ({ email }) => ({ email, cards: [] }),
  },
})
const created = defineEvent('user.created', {
  1: z.object({ user_data: z.object({ email: sensitive(z.string(), { encrypt: true }).optional() }) }),
})
const other = defineEvent('order.placed', { 1: z.object({ email: z.string() }) })
const masterKey = randomBytes(32).toString('base64')

async function deploy(url: string, contracts: Parameters<typeof createRegistry>[0], more: Partial<BridgeOptions> = {}) {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const privacy = { masterKey, detect: 'off' } as const
  const bridge = createBridge({ store: url, registry: createRegistry(contracts), privacy, log, ...more })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return bridge
}

const triggersOf = async (store: Store) =>
  (
    await store.query(`select tgname from pg_trigger where tgname like '%_sealed' and tgparentid = 0 order by 1`)
  ).rows.map(({ tgname }) => tgname)

describe('what a contract encrypts', () => {
  it('is refused in plain text, however SQL writes it, and is in no table; all else goes through', async () => {
    const { store, url } = await createTestDatabase()
    await deploy(url, [registered, other])
    const publish = (
      type: string,
      version: number,
      data: object,
      text = 'select evt.publish($1, $2, $4, version => $3)',
    ) => store.query(text, [type, JSON.stringify(data), version, 'user/1'])
    const refused =
      /^evt: cannot publish user\.registered v2: its contract encrypts data\.(email|cards\.\[\]\.no), and here/
    for (const data of [{ email: secret }, { cards: [{ no: '***' }, { no: secret }] }, { email: { of: secret } }])
      await expect(publish('user.registered', 2, data)).rejects.toMatchObject({
        message: expect.stringMatching(refused),
        hint: expect.stringContaining('createPublisher'),
      })
    const later = `select evt.publish_at(now() + interval '1 hour', $1, $2, $4, version => $3)`
    await expect(publish('user.registered', 2, { email: secret }, later)).rejects.toThrow(refused)
    const many = [
      { type: 'order.placed', data: { email: 'x' } },
      { type: 'user.registered', version: 2, data: { email: secret } },
    ]
    await expect(store.query('select evt.publish_many($1::json)', [JSON.stringify(many)])).rejects.toThrow(refused)
    expect(await tablesWith(store, [secret])).toEqual([])
    await publish('user.registered', 2, { cards: [{ no: '***' }], email: null })
    await publish('user.registered', 1, { email: 'old@lovelace.org' })
    await publish('order.placed', 1, { email: 'x' })
    const publisher = createPublisher({
      store,
      registry: createRegistry([registered]),
      source: 'test',
      privacy: { masterKey },
    })
    await publisher.publish(store, [{ type: 'user.registered', subject: 'user/1', data: { email: secret } }])
    await publisher.publishAll([
      { type: 'user.registered', subject: 'user/1', data: { email: secret, cards: [{ no: secret }] } },
    ])
    const count = async () => (await store.query('select count(*)::int as n from evt.outbox')).rows[0]?.n
    await until(async () => (await count()) === 5)
    expect(await tablesWith(store, [secret])).toEqual([])
  })

  it('may have beside it whatever other types may have: U+0000 and halves of characters', async () => {
    const { store, url } = await createTestDatabase()
    await deploy(url, [registered])
    const publisher = createPublisher({
      ...{ store, registry: createRegistry([registered]), source: 'test', privacy: { masterKey } },
    })
    onTestFinished(() => publisher.close())
    const sent = await publisher.sendAll(
      ['a\0b', '\ud800x', '\\u0000', '\u{1f600}\0'].map((name) => ({
        ...{ type: 'user.registered', subject: 'user/1' },
        data: { email: secret, [`note ${name}`]: name, cards: [{ no: name }] },
      })),
    )
    expect(sent).toEqual({ published: 4, failed: [] })
    const publish = (data: string) =>
      store.query(`select evt.publish('user.registered', $1::json, 'user/1', version => 2)`, [data])
    await publish('{"note":"a\\u0000b","cards":[{"no":"***"}]}')
    for (const data of [
      `{"note":"a\\u0000b","email":"${secret}"}`,
      `{"cards":[{"no":"${secret}"}],"\\\\\\ud83d\\ude00\\ud800":1}`,
      `{"\\u0065mail":"${secret}\\ud800"}`,
    ])
      await expect(publish(data)).rejects.toThrow('here it stands in plain text')
    expect(await tablesWith(store, [secret])).toEqual([])
  })

  it('is not written by who says that it may be', async () => {
    const { store, url } = await createTestDatabase()
    await deploy(url, [registered])
    const work = store.transaction(async (sql) => {
      await sql.query('set local role evt_publisher')
      await sql.query(`set local evt.takes_plain = 'on'`)
      await sql.query(`select evt.publish('user.registered', '{"email":"x"}', version => 2)`)
    })
    await expect(work).rejects.toThrow('here it stands in plain text')
  })

  it('costs nothing where no contract encrypts, and ends when none does any more', async () => {
    const { store, url } = await createTestDatabase()
    const one = await deploy(url, [other])
    expect(await triggersOf(store)).toEqual([])
    const two = await deploy(url, [created])
    expect(await triggersOf(store)).toEqual(['outbox_sealed', 'scheduled_sealed'])
    await Promise.all([one.stop(), two.stop()])
    await deploy(url, [defineEvent('user.created', { 1: z.object({}) })])
    expect(await triggersOf(store)).toEqual([])
  })

  it('lets what was scheduled before through, and holds nothing up', async () => {
    const { store, url } = await createTestDatabase()
    await store.query(
      `select evt.publish_at(now() - interval '1 s', 'user.registered', '{"email": "x"}', version => 2)`,
    )
    await deploy(url, [registered])
    await until(async () => (await store.query('select 1 from evt.outbox')).rows.length === 1)
  })

  it('is not captured: neither is such a capture added, nor does a bridge start beside one', async () => {
    const { store, url } = await createTestDatabase()
    await store.query('create table users (id int primary key, email text, plan text)')
    await addCapture(store, { table: 'users' })
    const start = () => deploy(url, [created])
    const message =
      'cannot capture public.users: the contract of user.created encrypts data.user_data.email, and a trigger has no key'
    const hint = expect.stringContaining('--mask email')
    await expect(start()).rejects.toMatchObject({ code: 'usage', message, hint })
    expect(await triggersOf(store)).toEqual([])
    await addCapture(store, { table: 'users', mask: ['email'] })
    await start()
    await store.query(`insert into users values (1, '${secret}', 'pro')`)
    expect((await store.query('select data from evt.outbox')).rows).toMatchObject([
      { data: { user_data: { email: '***' } } },
    ])
    expect(await tablesWith(store, [secret])).toEqual([])
    await expect(addCapture(store, { table: 'users' })).rejects.toMatchObject({ code: 'usage', message })
    const captures = [{ table: 'users' }]
    const service = defineService({ name: 'users', contracts: [created], handlers: [], captures })
    const bridge = createBridge({ store: url, services: [service], privacy: { masterKey } })
    onTestFinished(() => bridge.stop())
    await expect(bridge.start()).rejects.toMatchObject({ message })
  })
  it('is sealed when a source brings it in plain text, with all digits of its numbers', async () => {
    const { store, url } = await createTestDatabase()
    const address = memoryUrl()
    const transport = await openTransport(address)
    onTestFinished(() => transport.close())
    const message = (id: string, subject: string | undefined): Message => ({
      id,
      key: null,
      headers: {},
      body: Buffer.from(
        JSON.stringify({ specversion: '1.0', id, type: 'user.created', source: 'shop', subject, data: {} }).replace(
          '"data":{}',
          `"data":{"user_data":{"email":"${secret}","n":12345678901234567890}}`,
        ),
      ),
    })
    await transport.publish('foreign', [message('e1', 'user/1'), message('e2', undefined)], AbortSignal.timeout(5_000))
    const sources = [{ name: 'in', url: address, topic: 'foreign', start: 'earliest' as const }]
    await deploy(url, [created], { sources })
    const stored = async () => (await store.query('select id, data::text from evt.outbox')).rows
    await until(async () => (await stored()).length === 1)
    expect((await stored())[0]).toMatchObject({
      id: 'e1',
      data: expect.stringMatching(/evt:sealed:1:.*12345678901234567890/),
    })
    // Nobody knows whose key that is: an operator has to look at the message as it came.
    await until(async () => (await tablesWith(store, [secret])).length > 0)
    expect(await tablesWith(store, [secret])).toEqual(['evt.dead_letters'])
    expect((await store.query('select event_id, error_message from evt.dead_letters')).rows).toMatchObject([
      { event_id: 'e2', error_message: expect.stringContaining('nobody is named whose key that is') },
    ])
  })

  it('of a source is in no table in plain text, whatever else the store refuses of it and whatever stands beside it', async () => {
    const { store, url } = await createTestDatabase()
    const address = memoryUrl()
    const transport = await openTransport(address)
    onTestFinished(() => transport.close())
    const event = (id: string, more: object) => ({
      ...{ specversion: '1.0', id, type: 'user.created', source: 'shop', subject: 'user/1' },
      ...{ data: { user_data: { email: secret }, note: id }, ...more },
    })
    const message = (id: string, value: unknown): Message => ({
      ...{ id, key: null, headers: {}, body: Buffer.from(JSON.stringify(value)) },
    })
    const marked = { user_data: { email: secret }, note: 'evt:sealed:1:' }
    const refused = { time: '0000-01-01T00:00:00Z' }
    const messages = [
      message('mark', event('mark', { data: marked })),
      message('refused', event('refused', refused)),
      message('many', [event('good', {}), event('bad', refused)]),
    ]
    await transport.publish('foreign', messages, AbortSignal.timeout(5_000))
    const sources = [{ name: 'in', url: address, topic: 'foreign', start: 'earliest' as const }]
    await deploy(url, [created], { sources })
    const dead = async () =>
      (await store.query(`select event_id, convert_from(body, 'UTF8') as body from evt.dead_letters`)).rows
    await until(async () => (await dead()).length === 2)
    const ids = (await dead()).flatMap(({ body }) => [JSON.parse(String(body))].flat().map(({ id }) => id))
    expect(ids.toSorted()).toEqual(['bad', 'good', 'refused'])
    const stored = async () => (await store.query('select id from evt.outbox order by seq')).rows.map(({ id }) => id)
    expect(await stored()).toEqual(['mark'])
    expect(await tablesWith(store, [secret])).toEqual([])
    const { rows } = await store.query('select id from evt.dead_letters')
    await replayDeadLetters(store, { ids: rows.map(({ id }) => String(id)), replayId: 'r', by: 'test' })
    await until(async () => (await replayOutcome(store, 'r')).pending === 0)
    expect(await replayOutcome(store, 'r')).toMatchObject({ handled: 0 })
    expect(await dead()).toHaveLength(2)
    expect(await tablesWith(store, [secret])).toEqual([])
  })
})
