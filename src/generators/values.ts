import type { Shape, ShapeField } from '../core/json-shape.ts'
import type { Moment } from './moment.ts'
import type { Pools } from './pools.ts'
import type { Individual } from './population.ts'
import { compileText } from './texts.ts'
import { compileTotals } from './totals.ts'

/** Draws one value. Compiled once per field; calls neither zod nor faker. */
export type Draw = (moment: Moment) => unknown

/** What values are made of: words, and things that are there. */
export interface Stock {
  readonly pools: Pools
  /** Of the events that say them: what a description describes. */
  readonly type: string
  /** For a field that names a thing: how to choose one, and what its neighbours repeat of it. */
  refer(field: ShapeField): Reference | undefined
  /** How a field was in recorded traffic; undefined where it is drawn as its contract says. */
  learned?(path: string): Draw | undefined
  /** Share of events with an optional field; default 0.7. */
  presence?(path: string): number | undefined
}

const usualPresence = 0.7

export interface Reference {
  choose(moment: Moment): Individual | undefined
  copy(field: ShapeField): ((one: Individual) => unknown) | undefined
}

/** A drawer for `shape`, made realistic by the field's name. */
export function compileValue(name: string, shape: Shape, stock: Stock, path = name): Draw {
  const learned = stock.learned?.(path)
  if (learned) return within(learned, shape, () => compileShape(name, shape, stock, path))
  return compileShape(name, shape, stock, path)
}

/** Of a learned value only what the contract allows: it may have been another version. */
function within(learned: Draw, shape: Shape, compile: () => Draw): Draw {
  const usual = compile()
  return (moment) => {
    const value = learned(moment)
    return allows(shape, value) ? value : usual(moment)
  }
}

function allows(shape: Shape, value: unknown): boolean {
  if (shape.kind === 'union') return shape.of.some((one) => allows(one, value))
  if (shape.kind === 'null') return value === null
  if (shape.kind === 'choice') return shape.values.some((one) => one === value)
  if (shape.kind === 'any') return true
  if (shape.kind === 'string') {
    return (
      typeof value === 'string' &&
      !shape.pattern &&
      !shape.format &&
      value.length >= shape.min &&
      value.length <= shape.max
    )
  }
  if (shape.kind !== 'number') return typeof value === shape.kind
  const { min = -Infinity, max = Infinity, integer, step } = shape
  return (
    typeof value === 'number' &&
    value >= min &&
    value <= max &&
    (!integer || Number.isInteger(value)) &&
    step === undefined
  )
}

function compileShape(name: string, shape: Shape, stock: Stock, path: string): Draw {
  const { pools } = stock
  switch (shape.kind) {
    case 'object':
      return compileObject(shape, stock, { path })
    case 'array':
      return compileArray(name, shape, stock, path)
    case 'record':
      return compileRecord(shape.value, stock)
    case 'string':
      return compileText(name, shape, pools, stock.type)
    case 'number':
      return compileNumber(name, shape)
    case 'boolean':
      return (moment) => moment.random() < 0.5
    case 'choice':
      return compileChoice(shape.values)
    case 'union':
      return compileUnion(name, shape.of, stock, path)
    case 'null':
      return () => null
    case 'any':
      return pick(pools.word)
  }
}

/** Draws of another thing than the one around it. */
const another =
  (draw: Draw): Draw =>
  (moment) => {
    const { salt } = moment
    moment.newSalt()
    const value = draw(moment)
    moment.setSalt(salt)
    return value
  }

const pick =
  <T>(values: readonly T[]): Draw =>
  (moment) =>
    values[moment.below(values.length)]

/** Earlier options are likelier: contracts name the usual one first. */
function compileChoice(values: readonly unknown[]): Draw {
  return (moment) => values[Math.floor(moment.random() * moment.random() * values.length)]
}

function compileUnion(name: string, of: readonly Shape[], stock: Stock, path: string): Draw {
  const draws = of.map((one) => compileShape(name, one, stock, path))
  return (moment) => draws[Math.floor(moment.random() * moment.random() * draws.length)]?.(moment)
}

/** `fixed` gives some fields one value for ever; `path` is where the object stands. */
export function compileObject(
  shape: Shape & { kind: 'object' },
  stock: Stock,
  { fixed = {}, path = '' }: { readonly fixed?: Data; readonly path?: string } = {},
): (moment: Moment) => Data {
  const fields = shape.fields.map((field) => compileField(field, stock, { fixed, path }))
  const refer = compileReference(shape, stock)
  const addUp = compileTotals(shape.fields)
  return (moment) => {
    const made: Record<string, unknown> = {}
    for (const field of fields) {
      if (field.required || moment.random() < field.presence) made[field.name] = field.draw(moment)
    }
    refer?.(made, moment)
    addUp?.(made)
    return made
  }
}

function compileField(
  { name, required, shape }: ShapeField,
  stock: Stock,
  { fixed, path }: { readonly fixed: Data; readonly path: string },
) {
  const at = path === '' ? name : `${path}.${name}`
  return {
    name,
    required: required || Object.hasOwn(fixed, name),
    presence: stock.presence?.(at) ?? usualPresence,
    draw: Object.hasOwn(fixed, name) ? () => fixed[name] : compileValue(name, shape, stock, at),
  }
}

/** Puts in the ids of things that are there, and what belongs to them: the price of the product. */
function compileReference({ fields }: Shape & { kind: 'object' }, stock: Stock) {
  const references = fields.flatMap((field) => {
    const reference = stock.refer(field)
    if (!reference) return []
    const copies = fields.flatMap((other) => {
      const copy = other === field ? undefined : reference.copy(other)
      return copy ? [{ name: other.name, copy }] : []
    })
    return [{ name: field.name, choose: reference.choose, copies }]
  })
  if (references.length === 0) return undefined
  return (made: Record<string, unknown>, moment: Moment): void => {
    for (const { name, choose, copies } of references) {
      const one = made[name] === undefined || made[name] === null ? undefined : choose(moment)
      if (!one) continue
      made[name] = one.id
      for (const copied of copies) {
        const value = copied.copy(one)
        if (value !== undefined && made[copied.name] !== undefined) made[copied.name] = value
      }
    }
  }
}

export type Data = Readonly<Record<string, unknown>>

const neverEmpty = /roles|permissions|scopes/

/** From 0, below `limit`: the small ones most often. */
const fewOf = (limit: number, { random }: Moment): number => Math.floor(random() ** 2 * limit)

function compileArray(name: string, shape: Shape & { kind: 'array' }, stock: Stock, path: string): Draw {
  const item = another(compileValue(name.replace(/s$/, ''), shape.item, stock, `${path}[]`))
  // Lines of an order, roles of a user: there are some, mostly few.
  const least = Math.min(shape.max, Math.max(shape.min, shape.item.kind === 'object' || neverEmpty.test(name) ? 1 : 0))
  const most = Math.max(least, Math.min(shape.max, shape.item.kind === 'object' ? 5 : 3))
  return (moment) => {
    const length = least + fewOf(most - least + 1, moment)
    const values: unknown[] = []
    for (let tries = 0; values.length < length && tries < length * 4; tries++) {
      const value = item(moment)
      if (!values.includes(value)) values.push(value)
    }
    while (values.length < shape.min) values.push(item(moment))
    return values
  }
}

function compileRecord(value: Shape, stock: Stock): Draw {
  const key = pick(stock.pools.word) as (moment: Moment) => string
  const draw = another(compileValue('value', value, stock))
  return (moment) => Object.fromEntries(Array.from({ length: 2 }, () => [key(moment), draw(moment)]))
}

/** Usual ranges by the end of a field's name, inside what the contract allows. */
const ranges: readonly (readonly [RegExp, number, number])[] = [
  [/duration|latency|_ms$/, 1, 2_000],
  [/bytes|size|memory/, 1_024, 268_435_456],
  [/price|amount|total|cost|balance/, 1, 500],
  [/percent/, 0, 100],
  [/ratio|rate|score/, 0, 1],
  [/quantity|qty/, 1, 5],
  [/count/, 1, 20],
  [/minutes/, 30, 480],
  [/seats/, 1, 50],
  [/threshold/, 2, 20],
  [/age/, 18, 90],
  [/port/, 1_024, 65_535],
  [/year/, 2015, 2025],
  [/latitude/, -90, 90],
  [/longitude/, -180, 180],
]

function compileNumber(name: string, shape: Shape & { kind: 'number' }): Draw {
  const [, usualMin, usualMax] = ranges.find(([pattern]) => pattern.test(name)) ?? [undefined, 0, 1_000]
  const min = shape.min === undefined ? Math.min(usualMin, shape.max ?? usualMin) : Math.max(shape.min, usualMin)
  const low = shape.max !== undefined && min > shape.max ? (shape.min ?? shape.max) : min
  const high = Math.max(low, Math.min(shape.max ?? Infinity, Math.max(usualMax, low)))
  const scale = shape.integer ? 1 : 1 / (shape.step ?? 0.01)
  const [from, to] = [Math.ceil(low * scale), Math.floor(high * scale)]
  const most = Math.max(1, to - from + 1)
  if (/quantity|qty/.test(name)) return (moment) => (from + fewOf(most, moment)) / scale
  return (moment) => (from + moment.below(most)) / scale
}
