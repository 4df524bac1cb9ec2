import { randomBytes, randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { eraseSubject } from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'

const why = { by: 'accounts.deletion', reason: 'asked' }

it('the keys of a subject go with the transaction that erases it, of one tenant or of all, and the audit log says so once', async () => {
  const { store } = await createTestDatabase()
  const live = async () =>
    (
      await store.query('select tenant, subject from evt.subject_keys where wrapped is not null order by 1, 2')
    ).rows.map(({ tenant, subject }) => `${tenant}:${subject}`)
  await store.query("insert into evt.master_keys (id) values ('m')")
  for (const [tenant, subject] of [
    ['', 'user/1'],
    ['a', 'user/1'],
    ['b', 'user/1'],
    ['', 'user/2'],
  ])
    await store.query(
      'insert into evt.subject_keys (id, tenant, subject, master_key, wrapped) values ($1, $2, $3, $4, $5)',
      [...[randomUUID(), tenant, subject, 'm', randomBytes(40)]],
    )
  const undone = store.transaction(async (sql) => {
    expect(await eraseSubject(sql, { subject: 'user/1', ...why })).toBe(3)
    throw new Error('undone')
  })
  await expect(undone).rejects.toThrow('undone')
  expect(await live()).toEqual([':user/1', ':user/2', 'a:user/1', 'b:user/1'])

  expect(await eraseSubject(store, { subject: 'user/1', tenant: 'a', ...why })).toBe(1)
  // As `ctx.sql` of a handler answers.
  const sql = { query: async (text: string, values?: readonly unknown[]) => (await store.query(text, values)).rows }
  expect(await eraseSubject(sql, { subject: 'user/1', ...why })).toBe(2)
  expect(await eraseSubject(sql, { subject: 'user/1', ...why })).toBe(0)
  expect(await live()).toEqual([':user/2'])
  const { rows } = await store.query('select who, verb, target, reason, affected::int from evt.audit order by id')
  const entry = { who: why.by, verb: 'privacy forget', target: 'user/1', reason: 'asked' }
  expect(rows).toEqual([
    { ...entry, affected: 1 },
    { ...entry, affected: 2 },
  ])
})
