import { expect, test } from 'vitest'
import { checkIdentity, readIdentities } from '../../src/store/identity.ts'
import { acquireLease, readLease } from '../../src/store/lease.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

describeServers('the identity of the cluster', (server) => {
  test('is that of the cursor where the schema was made', async () => {
    const { store } = await createTestDatabase({ server })
    const { cursor, here } = await readIdentities(store)
    expect(cursor).toEqual(here)
    expect(here.systemIdentifier).toMatch(/^\d{15,}$/)
    await checkIdentity(store)
  })

  for (const [what, change] of [
    ['another cluster', 'system_identifier = system_identifier + 1'],
    ['another timeline', 'timeline = timeline + 1'],
  ] as const) {
    test(`stops whoever would lead on ${what}, with the remedy`, async () => {
      const { store } = await createTestDatabase({ server })
      await store.query(`update evt.relay set ${change}`)
      const refused = { code: 'refused', hint: expect.stringContaining('nothing was skipped') }
      await expect(checkIdentity(store)).rejects.toMatchObject(refused)
      await expect(acquireLease(store, 'a', 60_000)).rejects.toMatchObject(refused)
      expect((await readLease(store)).leader).toBeUndefined()
    })
  }
})
