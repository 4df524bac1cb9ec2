import { describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { services } from '../../src/services/registry.ts'

const loaded = await Promise.all(Object.values(services).map((load) => load()))
const registry = createRegistry([...new Set(loaded.flatMap(({ contracts }) => contracts))])

// biome-ignore lint/suspicious/noExplicitAny: payloads of many contracts
type Any = EvtEvent<any>

function generate(count: number, ...types: readonly string[]): Any[] {
  const generator = createGenerator({ registry, types, seed: 5, nowMs: 0 })
  return Array.from({ length: count }, () => generator.next())
}
const of = (events: readonly Any[], type: string) => events.filter((event) => event.type === type)
const cents = (money: string) => Math.round(Number(money) * 100)

describe('what is generated looks real', () => {
  const events = generate(3_000, 'order.created', 'product.created', 'tenant.created', 'user.created')

  it('in orders: one to five lines of a few pieces, whose prices add up to the total', () => {
    const orders = of(events, 'order.created')
    expect(orders.length).toBeGreaterThan(200)
    const counts = new Set(orders.map(({ data }) => data.items.length))
    expect([...counts].sort()).toEqual([1, 2, 3, 4, 5])
    for (const { data } of orders) {
      const sum = data.items.reduce((all: number, one: Any['data']) => all + one.quantity * cents(one.unit_price), 0)
      expect(cents(data.total)).toBe(sum)
      expect(sum).toBeGreaterThan(0)
      // Yen have no decimals, and money has two.
      expect(data.currency).toMatch(/^(EUR|USD|GBP|CHF|SEK|PLN)$/)
    }
    const quantities = orders.flatMap(({ data }) => data.items.map((one: Any['data']) => one.quantity))
    expect(Math.max(...quantities)).toBeLessThanOrEqual(5)
    expect(quantities.filter((one) => one === 1).length).toBeGreaterThan(quantities.length / 3)
  })

  it('in countries, which are not all as common, and in names of products and companies, which are many', () => {
    const countries = of(events, 'user.created').map(({ data }) => data.user_data.country)
    const share = (country: string) => countries.filter((one) => one === country).length / countries.length
    expect(share('US')).toBeGreaterThan(0.15)
    expect(share('DE')).toBeGreaterThan(share('PT'))
    const titles = of(events, 'product.created').map(({ data }) => data.product_data.title)
    expect(new Set(titles).size).toBeGreaterThan(titles.length * 0.8)
    const companies = of(events, 'tenant.created').map(({ data }) => data.tenant_data.company_name)
    expect(new Set(companies).size).toBeGreaterThan(companies.length * 0.8)
  })

  it('in roles, permissions, districts and reasons, which are those that people have and give', () => {
    const roles = generate(300, 'user.registered').flatMap(({ data }) => data.roles)
    for (const role of roles) expect(role).toMatch(/^(member|editor|viewer|manager|admin|owner)$/)
    for (const { data } of generate(300, 'role.defined').filter(({ type }) => type === 'role.defined')) {
      expect(data.permissions.length).toBeGreaterThan(0)
      for (const one of data.permissions)
        expect(one).toMatch(/^(documents|orders|products|reports|users|billing)\.[a-z]+$/)
    }
    const shifts = of(generate(300, 'shift.created'), 'shift.created')
    expect(new Set(shifts.map(({ data }) => data.district))).toContain('City centre')
    const failed = of(generate(600, 'payment.*', 'order.*', 'tenant.created'), 'payment.failed')
    for (const { data } of failed) expect(data.reason).toMatch(/card|funds|fraud|authentication/)
  })

  it('in descriptions, which describe what the events are about', () => {
    const requests = of(generate(600, 'requests.user.created', 'request.created'), 'request.created')
    for (const { data } of requests) expect(data.description).not.toMatch(/ed [a-z]+ [a-z-]+\.$/)
    const errors = generate(200, 'system.error')
    for (const { data } of errors) expect(data.error_type).toMatch(/Error$/)
    const documents = of(generate(600, 'user.created', 'document.created'), 'document.created')
    expect(documents.some(({ data }) => data.document_data.title === 'Travel expenses')).toBe(true)
  })
})
