import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { services } from '../../src/services/registry.ts'

describe.each(Object.entries(services))('events of the service %s', (_name, load) => {
  it('fit their contracts, each type and version', async () => {
    const registry = createRegistry((await load()).contracts)
    const versions = registry.types().flatMap((type) => {
      const latest = registry.get(type)?.version ?? 1
      return Array.from({ length: latest }, (_, i) => `${type}@${i + 1}`)
    })
    const generator = createGenerator({ registry, types: versions, seed: 5, nowMs: 0 })
    const made = new Set<string>()
    for (let i = 0; i < 200 * versions.length; i++) {
      const event = generator.next()
      registry.validate(event)
      made.add(`${event.type}@${event.version}`)
    }
    expect(versions.filter((one) => !made.has(one))).toEqual([])
  })
})
