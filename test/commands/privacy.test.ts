import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { createGuard } from '../../src/core/guard.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { parseMasterKeys } from '../../src/core/master-keys.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import { createStoreKeyring } from '../../src/store/subject-keys.ts'
import { createTestDatabase } from '../setup/database.ts'
import { runHere } from './evt.ts'

const joined = defineEvent('person.joined', { 1: z.object({ email: sensitive(z.email(), { encrypt: true }) }) })

async function withPerson() {
  const { store, url } = await createTestDatabase()
  const key = randomBytes(32).toString('base64')
  const guard = createGuard({ keyring: createStoreKeyring(store, parseMasterKeys(key, 'test')) })
  const publisher = createStorePublisher({ store, registry: createRegistry([joined], guard), source: 'test' })
  await publisher.publish(store, [{ type: 'person.joined', subject: 'user/1', data: { email: 'ada@lovelace.org' } }])
  return { store, url, key }
}

describe('evt privacy', () => {
  it('forgets a subject once: asks first, says what it did, and is in the audit log', async () => {
    const { store, url } = await withPerson()
    const evt = (...words: string[]) => runHere(['privacy', 'forget', 'user/1', ...words], { store: url })
    expect(await evt()).toMatchObject({ exit: 4 })
    expect((await evt('--dry-run')).stdout).toMatch(/would erase 1 key \(of user\/1\)/)
    expect(await evt('--yes', '--reason', 'request 77')).toMatchObject({ exit: 0 })
    expect((await evt('--yes')).stdout).toMatch(/nothing to erase/)
    expect((await evt('--dry-run')).stdout).toMatch(/would erase 0 keys/)
    expect((await store.query('select verb, target, reason, affected::int from evt.audit')).rows).toEqual([
      { verb: 'privacy forget', target: 'user/1', reason: 'request 77', affected: 1 },
    ])
    expect((await store.query('select wrapped from evt.subject_keys')).rows).toEqual([{ wrapped: null }])
  })

  it('rotates the master key, and needs both for it', async () => {
    const { store, url, key } = await withPerson()
    const fresh = randomBytes(32).toString('base64')
    const rotate = (masterKey: string, ...words: string[]) =>
      runHere(['privacy', 'rotate', ...words], { store: url, env: { EVT_MASTER_KEY: masterKey } })
    const alone = await rotate(fresh, '--yes')
    expect(alone).toMatchObject({ exit: 2 })
    expect(alone.stderr).toMatch(/they were wrapped with master key [0-9a-f]{12}, which is not configured/)
    expect(alone.stderr + alone.stdout).not.toContain(fresh)
    expect((await rotate(`${fresh} ${key}`, '--dry-run')).stdout).toMatch(/would rewrap 1 key of a subject on/)
    await store.query(`insert into evt.subject_keys (tenant, subject, id, master_key, wrapped)
      select tenant, subject || n, gen_random_uuid(), master_key, wrapped from evt.subject_keys, generate_series(1, 9) n`)
    const plan = (await rotate(`${fresh} ${key}`, '--dry-run')).stdout
    expect(plan).toMatch(
      /would rewrap 10 keys of subjects on .*\n {2}10 from master key [0-9a-f]{12} to [0-9a-f]{12}\n$/,
    )
    await store.query(`delete from evt.subject_keys where subject <> 'user/1'`)
    expect((await rotate(`${fresh} ${key}`, '--yes')).stdout).toMatch(/1 key on .* is wrapped with master key/)
    expect((await rotate(fresh, '--yes')).stdout).toMatch(/nothing to rewrap/)
    expect((await store.query('select count(distinct master_key)::int as n from evt.subject_keys')).rows).toEqual([
      { n: 1 },
    ])
  })

  it('never shows a master key', async () => {
    const key = randomBytes(32).toString('base64')
    const { stdout } = await runHere(['config', 'show', '--json'], { env: { EVT_MASTER_KEY: key } })
    expect(stdout).toContain('masterKey')
    expect(stdout).not.toContain(key)
  })
})
