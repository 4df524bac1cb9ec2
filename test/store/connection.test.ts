import { expect, it } from 'vitest'
import { createTestDatabase, describeServers } from '../setup/database.ts'

describeServers('a store', (server) => {
  it('knows the version of its server', async () => {
    const { store } = await createTestDatabase({ server })
    expect(Math.floor(store.serverVersion / 10_000)).toBe(server)
  })
})
