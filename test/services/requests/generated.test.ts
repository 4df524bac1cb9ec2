import { expect, it } from 'vitest'
import { createGenerator } from '../../../src/generators/generator.ts'
import { openRequestsDatabase } from './requests-database.ts'

it('generated events of every type are handled, but for shifts of one executor at the same time', async () => {
  const here = await openRequestsDatabase()
  const { registry } = here
  const generator = createGenerator({ registry, seed: 11, nowMs: Date.UTC(2025, 10, 21, 8), types: ['*'] })
  const handled = new Set<string>()
  for (let made = 0; made < 300; made++) {
    const event = generator.next()
    for (const { handler, error } of await here.handle(event)) {
      if (error?.name !== 'ShiftConflict')
        expect([event.type, handler, error]).toEqual([event.type, handler, undefined])
      handled.add(event.type)
    }
  }
  expect(handled.size).toBeGreaterThan(16)
})
