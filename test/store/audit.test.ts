import { expect, it } from 'vitest'
import { createAudit } from '../../src/store/audit.ts'
import { createTestDatabase } from '../setup/database.ts'

it('counts a change of several transactions in one row, and only what was committed', async () => {
  const { store } = await createTestDatabase()
  const audit = createAudit({ who: 'me', verb: 'gen', target: 'outbox', reason: 'a try', details: { seed: 7 } })
  const rolledBack = store.transaction(async (sql) => {
    await audit(sql, 100)
    throw new Error('no')
  })
  await expect(rolledBack).rejects.toThrow('no')
  for (const affected of [0, 500, 20]) await store.transaction((sql) => audit(sql, affected, { first: affected }))
  const { rows } = await store.query('select who, verb, target, reason, affected, details from evt.audit')
  expect(rows).toEqual([
    {
      ...{ who: 'me', verb: 'gen', target: 'outbox', reason: 'a try' },
      affected: '520',
      details: { seed: 7, first: 500 },
    },
  ])
})
