import { describe, expect, it } from 'vitest'
import { createGenerator, type GeneratorOptions } from '../../../src/generators/generator.ts'
import { openIconsDatabase, registry } from './icons-database.ts'

const generatorOf = (options: Pick<GeneratorOptions, 'types' | 'corrupt'>) =>
  createGenerator({ registry, seed: 11, nowMs: Date.UTC(2025, 10, 21, 8), ...options })

describe('generated events', () => {
  it('of every type are handled without an error', async () => {
    const icons = await openIconsDatabase()
    const generator = generatorOf({ types: ['*'] })
    const handled = new Set<string>()
    for (let made = 0; made < 250; made++) {
      const event = generator.next()
      for (const { handler, error } of await icons.handle(event)) {
        expect([event.type, handler, error]).toEqual([event.type, handler, undefined])
        handled.add(handler)
      }
    }
    expect(handled.size).toBeGreaterThan(8)
  })

  it.each([
    ['user.created', 'icons.preferences'],
    ['user.created@1', 'icons.preferences'],
    ['document.created', 'icons.usage'],
    ['system.configuration_changed', 'icons.configuration'],
  ])('%s, poisoned, makes %s fail and no other handler', async (type, handler) => {
    const icons = await openIconsDatabase()
    const generator = generatorOf({ types: [type], corrupt: { kinds: ['poison'], ratio: 1 } })
    for (let made = 0; made < 20; made++) {
      const outcomes = await icons.handle(generator.next())
      expect(outcomes.filter(({ error }) => error).map((one) => one.handler)).toEqual([handler])
    }
  })
})
