import { expect, it } from 'vitest'
import { createGenerator } from '../../../src/generators/generator.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { openServiceDatabase } from '../commerce/service-database.ts'

it('generated events of every type are valid, and handled without an error', async () => {
  await using database = await openServiceDatabase([accounts])
  const { registry } = database
  const generator = createGenerator({ registry, types: ['*'], seed: 11, nowMs: Date.UTC(2025, 10, 21, 8) })
  const [handled, made] = [new Set<string>(), new Set<string>()]
  const all = accounts.contracts.length
  for (let count = 0; count < 200 || (made.size < all && count < 2_000); count++) {
    const event = generator.next()
    made.add(event.type)
    for (const { handler, error } of await database.handle(event)) {
      expect([event.type, handler, error]).toEqual([event.type, handler, undefined])
      handled.add(handler)
    }
  }
  expect(made.size).toBe(all)
  // The audit log hears by pattern.
  expect(handled.size).toBe(accounts.handlers.length - 1)
})
