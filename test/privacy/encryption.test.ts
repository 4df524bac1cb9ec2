import { randomBytes } from 'node:crypto'
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createGuard } from '../../src/core/guard.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { parseMasterKeys } from '../../src/core/master-keys.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import {
  checkMasterKeys,
  countByMaster,
  createStoreKeyring,
  forgetSubject,
  rewrapKeys,
} from '../../src/store/subject-keys.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const registered = defineEvent('user.registered', {
  1: z.object({
    plan: z.string(),
    email: sensitive(z.email(), { encrypt: true }),
    cards: z.array(z.object({ no: sensitive(z.string(), { encrypt: true }) })).default([]),
    age: sensitive(z.number(), { encrypt: true }).optional(),
  }),
})
const ordered = defineEvent('order.placed', {
  1: z.object({
    customerId: z.string(),
    address: sensitive(z.object({ street: z.string() }), { encrypt: 'user/{customerId}' }),
  }),
})
const known = createRegistry([registered, ordered])
const newKey = () => randomBytes(32).toString('base64')
const quiet = { who: 'test', verb: 'privacy forget', target: 'user/1' }

function guarded(store: Store, key: string) {
  const masters = parseMasterKeys(key, 'test')
  const registry = createRegistry([registered, ordered], createGuard({ keyring: createStoreKeyring(store, masters) }))
  return { masters, registry, publisher: createStorePublisher({ store, registry, source: 'test' }) }
}

const textOf = async (store: Store) =>
  JSON.stringify((await store.query('select data::text, subject, metadata from evt.outbox')).rows)

const person = {
  type: 'user.registered',
  subject: 'user/1',
  data: { plan: 'pro', email: 'ada@lovelace.org', cards: [{ no: '4111-1111-1111-1111' }], age: 36 },
}

/** A bridge that writes down what its handlers get. */
async function seenBy(url: string, key: string) {
  const seen: unknown[] = []
  const handler = defineHandler({
    name: 'test.seen',
    on: [registered, ordered],
    start: 'earliest',
    handle: async (event) => void seen.push(event.data),
  })
  const bridge = createBridge({ store: url, registry: known, handlers: [handler], privacy: { masterKey: key } })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return { seen, bridge }
}

describe('what a contract encrypts', () => {
  it('is nowhere in the store in plain text, and handlers get it as it was', async () => {
    const { store, url } = await createTestDatabase()
    const key = newKey()
    const { publisher } = guarded(store, key)
    await publisher.publish(store, [
      person,
      { type: 'order.placed', subject: 'order/9', data: { customerId: '1', address: { street: 'Main St' } } },
    ])
    const stored = await textOf(store)
    expect(stored).not.toMatch(/ada@|4111-|:36|Main St/)
    expect(stored).toMatch(/pro/)
    const { seen } = await seenBy(url, key)
    await until(() => seen.length === 2)
    expect(seen).toContainEqual(person.data)
    expect(seen).toContainEqual({ customerId: '1', address: { street: 'Main St' } })
    // One person, one key, whatever the event is about.
    expect((await store.query('select tenant, subject from evt.subject_keys')).rows).toEqual([
      { tenant: '', subject: 'user/1' },
    ])
  })

  it('is null for handlers once its subject is forgotten, in old events and for ever; others stay', async () => {
    const { store, url } = await createTestDatabase()
    const key = newKey()
    const { publisher } = guarded(store, key)
    const other = { ...person, subject: 'user/2' }
    await publisher.publish(store, [person, other])
    const audit = createAudit(quiet)
    expect(await forgetSubject(store, { subject: 'user/1' }, audit)).toEqual({ keys: 1 })
    expect(await forgetSubject(store, { subject: 'user/1' }, createAudit(quiet))).toEqual({ keys: 0 })
    const { seen } = await seenBy(url, key)
    await until(() => seen.length === 2)
    expect(seen).toContainEqual({ plan: 'pro', email: null, cards: [{ no: null }], age: null })
    expect(seen).toContainEqual(person.data)
    expect((await store.query('select * from evt.dead_letters')).rows).toEqual([])
    expect((await store.query('select who, verb, affected::int from evt.audit')).rows).toEqual([
      { who: 'test', verb: 'privacy forget', affected: 1 },
    ])
    // Who comes back gets a new key.
    const again = guarded(store, key)
    await again.publisher.publish(store, [person])
    await until(() => seen.length === 3)
    expect(seen[2]).toEqual(person.data)
  })

  it('has the same bytes when an event is sent again, and others in another event', async () => {
    const { store } = await createTestDatabase()
    const { publisher } = guarded(store, newKey())
    const same = { ...person, id: 'e1' }
    await publisher.publish(store, [same])
    await publisher.publish(store, [same, { ...person, id: 'e2' }])
    const { rows } = await store.query('select id, data::text from evt.outbox order by seq')
    expect(rows[0]).toEqual(rows[1])
    expect(rows[2]?.data).not.toBe(rows[0]?.data)
  })

  it('is typed as what may be null, for handlers and upcasts', () => {
    defineHandler({
      name: 'test.typed',
      on: [registered],
      handle: (event) => void expectTypeOf(event.data.email).toEqualTypeOf<string | null>(),
    })
    defineEvent('user.typed', {
      1: z.object({ email: sensitive(z.email(), { encrypt: true }) }),
      2: {
        schema: z.object({ domain: z.string().nullable() }),
        upcast: (old) => {
          expectTypeOf(old.email).toEqualTypeOf<string | null>()
          return { domain: old.email?.split('@')[1] ?? null }
        },
      },
    })
  })

  it('keeps subjects of one name in two tenants apart', async () => {
    const { store, url } = await createTestDatabase()
    const key = newKey()
    const { publisher } = guarded(store, key)
    await publisher.publish(store, [
      { ...person, tenant: 'a' },
      { ...person, tenant: 'b' },
    ])
    await forgetSubject(store, { subject: 'user/1', tenant: 'a' }, createAudit(quiet))
    const { seen } = await seenBy(url, key)
    await until(() => seen.length === 2)
    expect(seen.map((data) => (data as { email: unknown }).email).sort()).toEqual(['ada@lovelace.org', null])
  })

  it('is not published without a key, without a subject, or as null', async () => {
    const { store } = await createTestDatabase()
    const plain = createStorePublisher({ store, registry: known, source: 'test' })
    await expect(plain.publish(store, [person])).rejects.toMatchObject({
      code: 'config',
      message: 'cannot publish user.registered: its contract encrypts data.email, and no master key is configured',
    })
    const { publisher } = guarded(store, newKey())
    const { subject: _, ...nobody } = person
    await expect(publisher.publish(store, [nobody])).rejects.toMatchObject({
      code: 'contract',
      hint: 'give the event a subject',
    })
    await expect(publisher.publish(store, [{ ...person, data: { ...person.data, email: null } }])).rejects.toThrow(
      /data\.email is null, which only erasing writes/,
    )
    expect((await store.query('select 1 from evt.outbox')).rows).toEqual([])
  })
})

describe('master keys', () => {
  it('rotate without a change to any event: the old one is no longer needed after a rewrap', async () => {
    const { store, url } = await createTestDatabase()
    const [old, fresh] = [newKey(), newKey()]
    await guarded(store, old).publisher.publish(store, [person, { ...person, subject: 'user/2' }])
    const before = await textOf(store)
    const both = parseMasterKeys(`${fresh} ${old}`, 'test')
    expect(await rewrapKeys(store, both, createAudit({ ...quiet, verb: 'privacy rotate' }))).toBe(2)
    expect(await rewrapKeys(store, both, createAudit({ ...quiet, verb: 'privacy rotate' }))).toBe(0)
    expect(await textOf(store)).toBe(before)
    await checkMasterKeys(store, parseMasterKeys(fresh, 'test'))
    const { seen } = await seenBy(url, fresh)
    await until(() => seen.length === 2)
    expect(seen).toEqual([person.data, person.data])
  })

  it('that are missing or wrong end the start of a bridge, and say which one is wanted', async () => {
    const { store, url } = await createTestDatabase()
    const { masters, publisher } = guarded(store, newKey())
    await publisher.publish(store, [person])
    const start = (privacy: object) => createBridge({ store: url, registry: known, privacy }).start()
    await expect(start({})).rejects.toThrow(
      'cannot start: the contract of order.placed encrypts, and no master key is configured',
    )
    await expect(start({ masterKey: newKey() })).rejects.toThrow(
      `cannot open the keys of subjects: they were wrapped with master key ${masters.current.id}, which is not configured`,
    )
    await expect(start({ masterKey: 'c2hvcnQ=' })).rejects.toThrow(/key 1 is not 32 bytes in base64/)
    await expect(start({ masterKeyFile: '/nowhere/key' })).rejects.toThrow(
      /cannot read the master key of \/nowhere\/key/,
    )
  })

  it('do not open a wrapped key that was moved to another subject, and that keeps nobody else from going on', async () => {
    const { store, url } = await createTestDatabase()
    const [old, fresh] = [newKey(), newKey()]
    const { publisher } = guarded(store, old)
    await publisher.publish(store, [person, { ...person, subject: 'user/2' }])
    await store.query(`update evt.subject_keys set subject = 'user/7' where subject = 'user/1'`)
    const { publisher: other } = guarded(store, old)
    await expect(other.publish(store, [{ ...person, subject: 'user/7' }])).rejects.toMatchObject({
      code: 'contract',
      message: expect.stringMatching(/^cannot open key \S+ of a subject: no master key \w+ wrapped it$/),
      hint: expect.stringContaining('evt privacy forget'),
    })
    await other.publish(store, [{ ...person, subject: 'user/3' }])
    const { seen } = await seenBy(url, old)
    await until(() => seen.length === 2)
    const dead = async () => (await store.query('select reason from evt.dead_letters')).rows
    await until(async () => (await dead()).length === 1)
    expect(await dead()).toEqual([{ reason: 'contract' }])
    const both = parseMasterKeys(`${fresh} ${old}`, 'test')
    await expect(rewrapKeys(store, both, createAudit({ ...quiet, verb: 'privacy rotate' }))).rejects.toMatchObject({
      code: 'contract',
    })
    expect((await countByMaster(store)).get(both.current.id)).toBe(2)
    await forgetSubject(store, { subject: 'user/7' }, createAudit(quiet))
    await guarded(store, fresh).publisher.publish(store, [{ ...person, subject: 'user/7' }])
  })
})
