import type { Shape, ShapeField } from '../core/json-shape.ts'
import { snakeCase } from './snake-case.ts'

/** Makes what adds up add up: the total of an order is that of its lines. Changes `made`, which nobody has seen yet. */
export type AddUp = (made: Record<string, unknown>) => void

const totals = /^(total|total_amount|amount_total|total_price|subtotal|sub_total|grand_total|order_total)$/
const partial = /^sub_?total$/
const added = /^(tax|tax_amount|vat|shipping|shipping_cost|fee|fees)$/
const taken = /^(discount|discount_amount)$/
const quantity = /^(quantity|qty|count|units)$/
const price = /^(unit_)?(price|amount|cost)$/
const lineTotal = /^(line_total|total|line_amount|total_price)$/

type Line = (item: Readonly<Record<string, unknown>>) => number

/** Undefined where nothing adds up. */
export function compileTotals(fields: readonly ShapeField[]): AddUp | undefined {
  const steps = [lineOf(fields), sumOf(fields)].flatMap((one) => one ?? [])
  if (steps.length === 0) return undefined
  return (made) => {
    for (const step of steps) step(made)
  }
}

/** Of one line: `total` is the price so many times. */
function lineOf(fields: readonly ShapeField[]): AddUp | undefined {
  const cents = centsOf(fields)
  const total = find(fields, lineTotal)
  if (!cents || !total) return undefined
  const write = writer(total.shape)
  return write && ((made) => (made[total.name] = write(cents(made))))
}

function sumOf(fields: readonly ShapeField[]): AddUp | undefined {
  const lines = fields.flatMap(({ name, shape }) => {
    const item = shape.kind === 'array' && shape.item.kind === 'object' ? shape.item : undefined
    const cents = item && centsOf(item.fields)
    return cents ? [{ name, cents }] : []
  })[0]
  if (!lines) return undefined
  const sums = fields.flatMap(({ name, shape }) => {
    const write = totals.test(snakeCase(name)) ? writer(shape) : undefined
    return write ? [{ name, write, partial: partial.test(snakeCase(name)) }] : []
  })
  const extras = fields.flatMap(({ name }) => {
    const snake = snakeCase(name)
    return added.test(snake) ? [{ name, sign: 1 }] : taken.test(snake) ? [{ name, sign: -1 }] : []
  })
  if (sums.length === 0) return undefined
  return (made) => {
    const items = made[lines.name]
    if (!Array.isArray(items)) return
    const goods = items.reduce<number>((sum, item) => sum + lines.cents(item), 0)
    const whole = extras.reduce((sum, { name, sign }) => sum + sign * toCents(made[name]), goods)
    for (const { name, write, partial: only } of sums) {
      if (name in made) made[name] = write(only ? goods : Math.max(0, whole))
    }
  }
}

function centsOf(fields: readonly ShapeField[]): Line | undefined {
  const [many, each] = [find(fields, quantity), find(fields, price)]
  if (!many || !each) return undefined
  return (item) => Math.round(Number(item[many.name] ?? 0) * toCents(item[each.name]))
}

const find = (fields: readonly ShapeField[], pattern: RegExp) =>
  fields.find(({ name }) => pattern.test(snakeCase(name)))

const toCents = (value: unknown): number => Math.round(Number(value ?? 0) * 100) || 0

/** Money as the contract writes it: `12.30`, 12.3, or whole cents where the field says so. */
function writer(shape: Shape): ((cents: number) => unknown) | undefined {
  const inner = withoutNull(shape)
  if (inner.kind === 'string') return (cents) => (cents / 100).toFixed(2)
  if (inner.kind !== 'number') return undefined
  const { max = Infinity } = inner
  return (cents) => Math.min(max, inner.integer ? Math.round(cents / 100) : cents / 100)
}

const withoutNull = (shape: Shape): Shape =>
  shape.kind === 'union' ? (shape.of.find(({ kind }) => kind !== 'null') ?? shape) : shape
