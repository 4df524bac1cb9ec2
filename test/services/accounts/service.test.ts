import { describe, expect, it } from 'vitest'
import { compilePatterns } from '../../../src/core/pattern.ts'
import { accounts } from '../../../src/services/accounts/service.ts'

const settings = Object.fromEntries(
  accounts.handlers.map(({ name, priority = 'normal', concurrency }) => [name, { priority, concurrency }]),
)

describe('the accounts service', () => {
  it('has the three handlers of the platform document, with their priorities and concurrency', () => {
    expect(settings['accounts.user-authentication']).toEqual({ priority: 'high', concurrency: 5 })
    expect(settings['accounts.security']).toEqual({ priority: 'critical', concurrency: 10 })
    expect(settings['accounts.auth-audit-log']).toEqual({ priority: 'low', concurrency: 20 })
  })

  it('names each handler once, under its own name', () => {
    const names = [...accounts.handlers, ...(accounts.sagas ?? [])].map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^accounts\.[a-z-]+$/)
  })

  it('hears what it declares, and declares what it hears', () => {
    const declared = accounts.contracts.map(({ type }) => type)
    const heard = accounts.handlers.flatMap(({ on }) => on.map((one) => (typeof one === 'string' ? one : one.type)))
    expect(declared).toEqual(expect.arrayContaining(heard.filter((type) => !type.includes('*'))))
    expect(new Set(declared).size).toBe(declared.length)
    const own = compilePatterns(accounts.publishes ?? [])
    expect(declared.filter((type) => !own.matches(type))).toEqual(['tenant.created', 'role.changed'])
  })
})
