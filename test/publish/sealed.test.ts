import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { parseMasterKeys } from '../../src/core/master-keys.ts'
import type { PublishOptions } from '../../src/core/publish-options.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createAudit } from '../../src/store/audit.ts'
import { createStoreKeyring, forgetSubject } from '../../src/store/subject-keys.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startTcpProxy } from '../setup/tcp-proxy.ts'
import { until } from '../setup/until.ts'
import { noted } from './noted.ts'

const told = defineEvent('secret.told', { 1: z.object({ word: sensitive(z.string(), { encrypt: true }) }) })
const registry = createRegistry([noted, told])
const masterKey = randomBytes(32).toString('base64')

function open(store: string, settings: PublishOptions = {}) {
  const publisher = createPublisher({ store, registry, source: 'test', settings, privacy: { masterKey } })
  onTestFinished(() => publisher.close({ grace: '1s' }))
  return publisher
}

const tell = (subject: string, word = 'xyzzy') => ({ type: 'secret.told', subject, data: { word } })

describeServers('publishing what is to be encrypted', (server) => {
  test('waits while the store with the keys is away, and nothing overtakes it', async () => {
    const { store, url } = await createTestDatabase({ server })
    await using proxy = await startTcpProxy(Number(new URL(url).port))
    const publisher = open(proxy.through(url), { retry: { max: '50ms' } })
    await publisher.send(tell('s/0'))
    proxy.freeze()
    proxy.cut()
    const sent = Array.from({ length: 60 }, (_, n) =>
      publisher.send(n % 2 ? { type: 'note.written', subject: 'same', data: { text: String(n) } } : tell('same')),
    )
    await until(() => publisher.stats().queued === 60)
    proxy.thaw()
    proxy.cut()
    expect((await Promise.all(sent)).map(({ state }) => state)).toEqual(sent.map(() => 'stored'))
    const { rows } = await store.query(`select type from evt.outbox where subject = 'same' order by seq`)
    expect(rows.map(({ type }) => type)).toEqual(sent.map((_, n) => (n % 2 ? 'note.written' : 'secret.told')))
  })

  test('is unknown when the time is over, bounded in bytes until then, and one bad subject harms no other', async () => {
    const { url } = await createTestDatabase({ server })
    await using proxy = await startTcpProxy(Number(new URL(url).port))
    const publisher = open(proxy.through(url), { most: { bytes: 2_000_000 }, timeout: '300ms', retry: { max: '20ms' } })
    const [bad, good] = await Promise.all([publisher.send(tell('a\0b')), publisher.send(tell('good'))])
    expect([bad?.state, good?.state]).toEqual(['refused', 'stored'])
    await proxy.close()
    proxy.cut()
    const sent = Array.from({ length: 50 }, (_, n) => publisher.send(tell(`s/${n}`, 'x'.repeat(100_000))))
    expect(publisher.stats().queuedBytes).toBeLessThan(2_200_000)
    const states = (await Promise.all(sent)).map(({ state }) => state)
    expect(states.slice(0, 20)).toEqual(sent.slice(0, 20).map(() => 'unknown'))
    expect(states.slice(21)).toEqual(sent.slice(21).map(() => 'refused'))
    expect(publisher.stats()).toMatchObject({ queued: 0, queuedBytes: 0 })
  })

  test('uses a new key as soon as the old one is deleted', async () => {
    const { store, url } = await createTestDatabase({ server })
    const publisher = open(url)
    await publisher.send(tell('user/1'))
    await forgetSubject(
      store,
      { subject: 'user/1' },
      createAudit({ who: 'test', verb: 'privacy forget', target: 'user/1' }),
    )
    await publisher.send(tell('user/1'))
    const { rows } = await store.query(
      `select wrapped is null as gone, (select count(*)::int from evt.outbox where data->>'word' like '%' || k.id || '%') as n
       from evt.subject_keys k order by wrapped is not null`,
    )
    expect(rows).toEqual([
      { gone: true, n: 1 },
      { gone: false, n: 1 },
    ])
  })

  test('knows duplicates by their content', async () => {
    const { store, url } = await createTestDatabase({ server })
    const publisher = open(url, { duplicates: { by: 'content' } })
    const outcomes = await Promise.all([tell('a'), tell('a'), tell('a', 'other'), tell('b')].map(publisher.send))
    expect(outcomes.map(({ state }) => state)).toEqual(['stored', 'duplicate', 'stored', 'stored'])
    expect((await store.query('select count(*)::int as n from evt.outbox')).rows).toEqual([{ n: 3 }])
  })

  test('keeps the keys that were asked for, of however many subjects', async () => {
    const { store, url } = await createTestDatabase({ server })
    const publisher = open(url)
    await publisher.send(tell('first'))
    const keyring = createStoreKeyring(store, parseMasterKeys(masterKey, 'test'))
    const owners = Array.from({ length: 20_000 }, (_, n) => ({ tenant: '', subject: `s/${n}` }))
    await keyring.loadOwners(owners)
    await keyring.loadOwners([owners[0] as (typeof owners)[0], { tenant: '', subject: 'new' }])
    expect(keyring.keyOf({ tenant: '', subject: 's/0' })).toBeDefined()
    const sent = await Promise.all(Array.from({ length: 2_000 }, (_, n) => publisher.send(tell(`s/${n}`))))
    expect(sent.every(({ state }) => state === 'stored')).toBe(true)
  })
})
