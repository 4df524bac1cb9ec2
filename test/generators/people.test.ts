import { describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { createScenarioGenerator } from '../../src/generators/scenario/scenario-generator.ts'
import { accounts } from '../../src/services/accounts/service.ts'
import { requests } from '../../src/services/requests/service.ts'

const registry = createRegistry([...accounts.contracts, ...requests.contracts])

// biome-ignore lint/suspicious/noExplicitAny: payloads of many contracts
type Any = EvtEvent<any>

function generate(count: number, ...types: readonly string[]): Any[] {
  const generator = createGenerator({ registry, types, seed: 5, nowMs: 0 })
  return Array.from({ length: count }, () => generator.next())
}

describe('a person', () => {
  it('is a new one with each registration, in a run of any length', () => {
    const registered = generate(20_000, 'user.registered').map(({ data }) => data)
    for (const field of ['user_id', 'email', 'username'] as const) {
      expect(new Set(registered.map((data) => data[field])).size).toBe(registered.length)
    }
    for (const { email, username } of registered) expect(email.split('@')[0]).toBe(username)
    const created = generate(1_000, 'requests.user.created').map(({ data }) => data)
    expect(new Set(created.map((data) => `${data.first_name} ${data.last_name}`)).size).toBeGreaterThan(700)
  })

  it('is a new one with each instance of a scenario', () => {
    const [definition] = (accounts.scenarios ?? []).filter(({ scenario }) => scenario === 'signup')
    if (!definition) throw new Error('there is no scenario signup')
    const generator = createScenarioGenerator({
      registry,
      scenarios: [{ definition, place: 'test' }],
      library: (accounts.scenarios ?? []).map((one) => ({ definition: one, place: 'test' })),
      seed: 5,
      nowMs: 0,
      count: 300,
    })
    const names: string[] = []
    for (let item = generator.next(); item; item = generator.next()) {
      if ('event' in item && item.event.type === 'user.registered') names.push((item.event as Any).data.username)
    }
    expect(names).toHaveLength(300)
    expect(new Set(names).size).toBe(300)
  })

  it('keeps the name and the address with which it registered, and shares them with nobody', () => {
    const events = generate(4_000, 'user.registered', 'user.email_verified', 'account.*', 'user.profile_created')
    const owners = new Map<string, string>()
    for (const { data } of events) {
      if (data.email === undefined || data.user_id === undefined) continue
      const owner = owners.get(data.email) ?? data.user_id
      expect(owner).toBe(data.user_id)
      owners.set(data.email, owner)
    }
    expect(owners.size).toBeGreaterThan(500)
  })
})
