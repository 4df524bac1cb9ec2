import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createGuard } from '../../src/core/guard.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { parseMasterKeys } from '../../src/core/master-keys.ts'
import type { KeyOwner } from '../../src/core/protection.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import { checkMasterKeys, createStoreKeyring, forgetSubject } from '../../src/store/subject-keys.ts'
import type { SqlExecutor } from '../../src/transports/transport.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const registered = defineEvent('user.registered', { 1: z.object({ email: sensitive(z.email(), { encrypt: true }) }) })
const known = createRegistry([registered])
const person = { type: 'user.registered', subject: 'user/1', data: { email: 'ada@lovelace.org' } }
const newKey = () => randomBytes(32).toString('base64')
const quiet = { who: 'test', verb: 'privacy forget', target: 'user/1' }

function guarded(store: Store, key: string) {
  const masters = parseMasterKeys(key, 'test')
  const registry = createRegistry([registered], createGuard({ keyring: createStoreKeyring(store, masters) }))
  return { masters, publisher: createStorePublisher({ store, registry, source: 'test' }) }
}

describe('who may only publish', () => {
  const asPublisher = <T>(store: Store, work: (sql: SqlExecutor) => Promise<T>) =>
    store.transaction(async (sql) => {
      await sql.query('set local role evt_publisher')
      return work(sql)
    })
  const take = (master: string) =>
    `select evt.take_subject_keys(array[''], array['user/1'], array[gen_random_uuid()], '${master}', array['\\x00'::bytea])`

  it('makes keys with a master key that a bridge has made known, and with no other', async () => {
    const { store, url } = await createTestDatabase()
    const key = newKey()
    const { masters, publisher } = guarded(store, key)
    const unknown = {
      code: 'refused',
      message: `evt: cannot make keys of subjects with master key ${masters.current.id}: this store does not know it`,
    }
    await expect(asPublisher(store, (sql) => sql.query(take('bogus')))).rejects.toMatchObject({ code: 'refused' })
    await expect(asPublisher(store, (sql) => sql.query(take(masters.current.id)))).rejects.toMatchObject(unknown)
    expect((await store.query('select 1 from evt.subject_keys')).rows).toEqual([])
    const bridge = createBridge({ store: url, registry: known, privacy: { masterKey: key } })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await asPublisher(store, async (sql) => {
      const keyring = createStoreKeyring(sql, masters)
      await keyring.loadOwners([{ tenant: '', subject: 'user/1' }])
      expect(keyring.keyOf({ tenant: '', subject: 'user/1' })).toBeDefined()
    })
    await expect(asPublisher(store, (sql) => sql.query('select from evt.master_keys'))).rejects.toThrow(/permission/)
    await publisher.publish(store, [person])
  })

  it('keeps no bridge from starting and no other subject from being published, whatever it plants', async () => {
    const { store, url } = await createTestDatabase()
    const key = newKey()
    const { masters, publisher } = guarded(store, key)
    // Before stores knew their master keys.
    await store.query(
      `insert into evt.subject_keys (id, subject, master_key, wrapped) values (gen_random_uuid(), 'user/9', 'bogus', '\\x00')`,
    )
    await checkMasterKeys(store, masters)
    await asPublisher(store, (sql) => sql.query(take(masters.current.id)))
    const { rows } = await store.query('select id, subject from evt.subject_keys order by subject')
    await expect(publisher.publish(store, [person])).rejects.toMatchObject({ code: 'contract' })
    for (const [n, { id }] of rows.entries())
      await store.query(`select evt.publish('user.registered', $1, 'user/1', id => $2)`, [
        JSON.stringify({ ...person.data, email: `evt:sealed:1:${id}:AAAA` }),
        `forged-${n}`,
      ])
    await publisher.publish(store, [{ ...person, subject: 'user/2' }])
    const seen: unknown[] = []
    const handler = defineHandler({
      name: 'test.seen',
      on: [registered],
      start: 'earliest',
      handle: async (event) => void seen.push(event.data),
    })
    const bridge = createBridge({ store: url, registry: known, handlers: [handler], privacy: { masterKey: key } })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const dead = async () => (await store.query('select event_id, reason from evt.dead_letters order by 1')).rows
    await until(async () => seen.length === 1 && (await dead()).length === 2)
    expect(await dead()).toEqual([0, 1].map((n) => ({ event_id: `forged-${n}`, reason: 'contract' })))
  })

  it('reads keys that are there without making any', async () => {
    const { store } = await createTestDatabase()
    const { masters } = guarded(store, newKey())
    const queries: unknown[][] = []
    const sql: SqlExecutor = {
      query: (text, values) => {
        queries.push(values as unknown[])
        return store.query(text, values)
      },
    }
    const [one, two, three] = ['user/1', 'user/2', 'user/3'].map((subject) => ({ tenant: '', subject })) as [
      KeyOwner,
      KeyOwner,
      KeyOwner,
    ]
    const keyring = createStoreKeyring(sql, masters)
    await keyring.loadOwners([one, two])
    const first = keyring.keyOf(one)
    await keyring.loadOwners([one, two, three])
    expect(keyring.keyOf(one)).toBe(first)
    expect(queries).toHaveLength(2)
    expect((queries[1]?.[4] as unknown[] | undefined)?.map((proposal) => proposal !== null)).toEqual([
      false,
      false,
      true,
    ])
    // One that is forgotten meanwhile gets a new key at once.
    await forgetSubject(store, one, createAudit(quiet))
    await keyring.loadOwners([one, two])
    expect(keyring.keyOf(one)?.id).not.toBe(first?.id)
    expect(queries).toHaveLength(4)
    expect((await store.query('select 1 from evt.subject_keys')).rows).toHaveLength(4)
  })
})
