import { versionsOf } from '../core/contract-schemas.ts'
import { findUnmarked } from '../core/detect.ts'
import type { EvtEvent } from '../core/event.ts'
import { markedIn } from '../core/inspector.ts'
import { maskFields } from '../core/mask.ts'
import { createMasker, type MaskerOptions } from '../core/masker.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'
import { addTexts, valuesIn, withoutTexts } from '../core/without-values.ts'
import type { WrittenRow } from '../store/row-capture.ts'
import type { ShadowedEvent } from './shadow.ts'

type Columns = Readonly<Record<string, unknown>>

/** What was sensitive in the event that a handler saw. */
interface Secrets {
  readonly values: ReadonlySet<string>
  /** Columns of such a name hold the same of another day, or a form of it. */
  readonly names: ReadonlySet<string>
}

/**
 * Hides from what a shadow run shows what the contract of the handler's event marks, wherever the handler has put it: in rows by its value
 * and by the name of its field, in published events also by their own contracts, in errors by its value. With `detect: 'mask'` also what
 * looks personal. `seen` is the event as the handler saw it; without it all is hidden.
 */
export function createConcealer(options: MaskerOptions) {
  const { registry, detect } = options
  const masker = createMasker(options)

  function secretsOf({ type, version, data }: EvtEvent): Secrets {
    const contract = registry.get(type, version)
    const fields = contract ? sensitiveFields(contract) : versionsOf(registry, type).flatMap(sensitiveFields)
    const unmarked = detect === 'mask' ? findUnmarked(data, markedIn(contract)) : []
    const values = valuesIn(fields, data)
    for (const { path } of unmarked) for (const value of at(data, path.split('.').slice(1))) addTexts(value, values)
    const named = fields.map(({ path }) => path.findLast((name) => name !== '[]' && name !== '*'))
    return { values, names: new Set(named.filter((name) => name !== undefined).map(plainName)) }
  }

  function columns(row: Columns, { values, names }: Secrets): Columns {
    const shown = Object.entries(row).map(([name, value]) => {
      const isHidden = names.has(plainName(name)) && value !== null && value !== '(generated)'
      return [name, isHidden ? '***' : without(value, values)]
    })
    const found = detect === 'mask' ? findUnmarked(row, new Set()).map(({ path }) => path) : []
    const { data } = maskFields({ data: Object.fromEntries(shown) }, found) as { readonly data: Columns }
    return data
  }

  return (shadowed: ShadowedEvent, seen: EvtEvent | undefined): ShadowedEvent => {
    const secrets = seen && secretsOf(seen)
    const row = (given: Columns) => (secrets ? columns(given, secrets) : blank(given))
    const text = (given: string) => (secrets ? withoutTexts(given, secrets.values) : '***')
    const { rows, published, error } = shadowed
    return {
      ...shadowed,
      rows: rows.map((one) => concealedRow(one, row)),
      published: published.map((one) =>
        secrets
          ? {
              ...(without(one, secrets.values) as typeof one),
              data: without(masker.data(one, one.data), secrets.values),
            }
          : { type: one.type, data: '***' },
      ),
      ...(error === undefined ? {} : { error: text(error) }),
    }
  }
}

const plainName = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, '')

/** Of a hidden value it is still told that it changed. */
function concealedRow(row: WrittenRow, conceal: (columns: Columns) => Columns): WrittenRow {
  const { old, new: now } = row
  const [before, after] = [old && conceal(old), now && conceal(now)]
  const changed = Object.keys(old && now ? now : {}).filter(
    (name) => !isSame(old?.[name], now?.[name]) && isSame(before?.[name], after?.[name]),
  )
  return {
    ...row,
    ...(before ? { old: before } : {}),
    ...(after ? { new: { ...after, ...Object.fromEntries(changed.map((name) => [name, '*** (changed)'])) } } : {}),
  }
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

const blank = (row: Columns): Columns => Object.fromEntries(Object.keys(row).map((name) => [name, '***']))

/** The value, and texts and numbers within it, without what is hidden. */
function without(value: unknown, hidden: ReadonlySet<string>): unknown {
  if (typeof value === 'string') return withoutTexts(value, hidden)
  if (typeof value === 'number') return hidden.has(String(value)) ? '***' : value
  if (Array.isArray(value)) return value.map((item) => without(item, hidden))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, without(inner, hidden)]))
}

/** What stands at a path that does not count the elements of arrays. */
function at(value: unknown, [name, ...rest]: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => at(item, name === undefined ? [] : [name, ...rest]))
  if (name === undefined) return [value]
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return []
  return at((value as Columns)[name], rest)
}
