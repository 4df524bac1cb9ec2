import { expect, it, onTestFinished } from 'vitest'
import { createGenerator } from '../../../src/generators/generator.ts'
import { commerce } from '../../../src/services/commerce/service.ts'
import { platform } from '../../../src/services/platform/service.ts'
import { openServiceDatabase } from './service-database.ts'

it('generated events of every contract of commerce and platform are handled; only stock can run out', async () => {
  const here = await openServiceDatabase([commerce, platform])
  onTestFinished(() => here[Symbol.asyncDispose]())
  const generator = createGenerator({
    registry: here.registry,
    types: ['*'],
    seed: 11,
    nowMs: Date.UTC(2025, 10, 21, 8),
  })
  const handled = new Set<string>()
  const missing = new Set(here.registry.types())
  for (let made = 0; made < 200 || (missing.size > 0 && made < 3_000); made++) {
    const event = generator.next()
    missing.delete(event.type)
    for (const { handler, error } of await here.handle(event)) {
      // Whoever draws a quantity that is moved does not know what is there.
      const isShort = event.type === 'inventory.moved' && error?.name === 'InsufficientStockError'
      expect([event.type, handler, isShort ? undefined : error]).toEqual([event.type, handler, undefined])
      handled.add(handler)
    }
  }
  expect([...missing]).toEqual([])
  expect(handled.size).toBe(8)
})
