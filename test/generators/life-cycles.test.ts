import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator, type GeneratorOptions } from '../../src/generators/generator.ts'

const id = z.uuid()
const money = z.string().regex(/^\d{1,9}\.\d{2}$/)
const user = z.object({ user_id: z.int(), first_name: z.string(), email: sensitive(z.email()) })
const request = z.object({ request_id: id, user_id: z.int() })
const orderOf = { order_id: id, tenant_id: id }
const line = z.object({ product_id: id, sku: z.string(), quantity: z.int().min(1), unit_price: money })

const contracts = [
  defineEvent('requests.user.created', { 1: user }),
  defineEvent('requests.user.deleted', { 1: z.object({ user_id: z.int() }) }),
  defineEvent('user.created', { 1: z.object({ user_id: id, name: z.string() }) }),
  defineEvent('request.created', { 1: request.extend({ title: z.string(), customer_email: z.email() }) }),
  defineEvent('request.assigned', { 1: request.extend({ title: z.string() }) }),
  defineEvent('request.completed', { 1: request }),
  defineEvent('request.cancelled', { 1: request.extend({ reason: z.string() }) }),
  defineEvent('parcel.lost', { 1: z.object({ parcel_id: id }) }, { lifecycle: { after: ['handed_over'], ends: true } }),
  defineEvent('parcel.handed_over', { 1: z.object({ parcel_id: id }) }, { lifecycle: { begins: true } }),
  defineEvent('validation.phase.started', { 1: z.object({ phase_id: id }) }),
  defineEvent('validation.phase.completed', { 1: z.object({ phase_id: id }) }),
  defineEvent('tenant.created', {
    1: z.object({ tenant_id: id, tenant_data: z.object({ company_name: z.string() }) }),
  }),
  defineEvent('product.created', {
    1: z.object({ product_id: id, tenant_id: id, product_data: z.object({ sku: z.string(), price: money }) }),
  }),
  defineEvent('order.created', { 1: z.object({ ...orderOf, items: z.array(line).min(1), total: money }) }),
  defineEvent('order.confirmed', { 1: z.object(orderOf) }),
  defineEvent('order.shipped', { 1: z.object(orderOf) }),
  defineEvent('order.delivered', { 1: z.object(orderOf) }),
  defineEvent('payment.requested', { 1: z.object({ payment_id: id, ...orderOf, amount: money }) }),
  defineEvent('payment.captured', { 1: z.object({ payment_id: id, ...orderOf, amount: money }) }),
  defineEvent('code.issued', { 1: z.object({ code: z.string().regex(/^[A-Z]{3}-\d{4}(\.v[12])?$/) }) }),
]
const registry = createRegistry(contracts)

// biome-ignore lint/suspicious/noExplicitAny: payloads of twenty contracts
type Any = EvtEvent<any>

function generate(types: readonly string[], more: Partial<GeneratorOptions> = {}): Any[] {
  const generator = createGenerator({ registry, seed: 3, nowMs: 0, types, ...more })
  return Array.from({ length: 6_000 }, () => generator.next())
}

/** What has happened to each subject, as one line of last words. */
function livesOf(events: readonly Any[]): string[] {
  const lives = new Map<string, string[]>()
  for (const { subject = '', type } of events) {
    lives.set(subject, [...(lives.get(subject) ?? []), type.split('.').at(-1) ?? ''])
  }
  return [...lives.values()].map((words) => words.join(' '))
}

describe('the life of a thing', () => {
  it('goes from created over assigned to completed, or is cancelled on the way', () => {
    const events = generate(['request.*', 'requests.user.created'])
    const lives = livesOf(events.filter(({ type }) => type.startsWith('request.')))
    for (const life of lives) expect(life).toMatch(/^created( assigned( completed| cancelled)?| cancelled)?$/)
    for (const end of ['completed', 'cancelled'])
      expect(lives.filter((life) => life.endsWith(end)).length).toBeGreaterThan(50)
  })

  it('goes as the contract says, where names do not tell', () => {
    expect(new Set(livesOf(generate(['parcel.*'])))).toEqual(new Set(['handed_over', 'handed_over lost']))
  })

  it('is that of the word before the last, in types of more words', () => {
    const events = generate(['validation.phase.*'])
    expect(events[0]?.subject).toBe(`phase/${events[0]?.data.phase_id}`)
    expect(new Set(livesOf(events))).toEqual(new Set(['started', 'started completed']))
  })

  it('is of one service, also where another has things of the same name', () => {
    const events = generate(['request.created', 'requests.user.created', 'user.created'])
    const users = new Set(events.filter(({ type }) => type === 'requests.user.created').map(({ data }) => data.user_id))
    for (const { data } of events.filter(({ type }) => type === 'request.created')) {
      expect(users.has(data.user_id)).toBe(true)
    }
  })
})

describe('what events say of a thing', () => {
  const events = generate(['tenant.*', 'product.*', 'order.*', 'payment.*'])
  const of = (type: string) => events.filter((event) => event.type === type)

  it('fits the contracts', () => {
    for (const event of [...events, ...generate(['*'])]) registry.validate(event)
  })

  it('is the same again: the address of the user, the price of the product, the total of the order', () => {
    const users = generate(['request.*', 'requests.user.created'])
    const addresses = new Map(users.filter(({ data }) => data.email).map(({ data }) => [data.user_id, data.email]))
    const titles = new Map<string, string>()
    for (const { type, data } of users.filter((one) => one.type !== 'requests.user.created')) {
      if (type === 'request.created') expect(data.customer_email).toBe(addresses.get(data.user_id))
      if (data.title) expect(data.title).toBe(titles.get(data.request_id) ?? data.title)
      if (data.title) titles.set(data.request_id, data.title)
    }
    const products = new Map(of('product.created').map(({ data }) => [data.product_id, data.product_data]))
    const totals = new Map(of('order.created').map(({ data }) => [data.order_id, data.total]))
    for (const { data } of of('order.created')) {
      for (const { product_id, sku, unit_price } of data.items) {
        expect({ sku, price: unit_price }).toEqual(products.get(product_id))
      }
    }
    for (const { data } of of('payment.requested')) expect(data.amount).toBe(totals.get(data.order_id))
    for (const { data } of of('payment.captured')) expect(data.amount).toBe(totals.get(data.order_id))
  })

  it('adds up', () => {
    for (const { data } of of('order.created')) {
      const cents = data.items.reduce(
        (sum: number, one: { quantity: number; unit_price: string }) =>
          sum + Math.round(one.quantity * Number(one.unit_price) * 100),
        0,
      )
      expect(data.total).toBe((cents / 100).toFixed(2))
    }
  })

  it('is of one tenant, in the data and around it', () => {
    const tenants = new Map(of('order.created').map(({ data }) => [data.order_id, data.tenant_id]))
    for (const { data, tenant } of events.filter(({ type }) => /^(order|payment)\./.test(type))) {
      expect([data.tenant_id, tenant]).toEqual([tenants.get(data.order_id), tenants.get(data.order_id)])
    }
  })

  it('is of so many tenants where none are named', () => {
    const tenants = generate(['user.created'], { tenants: 3 }).map(({ tenant }) => tenant)
    expect(new Set(tenants)).toEqual(new Set(['tenant-1', 'tenant-2', 'tenant-3']))
  })

  it('matches the pattern of its contract', () => {
    for (const { data } of generate(['code.issued']).slice(0, 200))
      expect(data.code).toMatch(/^[A-Z]{3}-\d{4}(\.v[12])?$/)
  })
})
