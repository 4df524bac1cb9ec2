import { maxDataDepth } from './event.ts'

/**
 * A copy of `data` in which `change` has been applied to what stands at `path`: `[]` enters every element of an array. What is not
 * there is left out, and without a change `data` itself comes back.
 */
export function changeAt(data: unknown, path: readonly string[], change: (value: unknown) => unknown): unknown {
  return changed(data, path, change, 0)
}

function changed(value: unknown, path: readonly string[], change: (value: unknown) => unknown, at: number): unknown {
  const key = path[at]
  if (key === undefined || at > maxDataDepth) return change(value)
  if (typeof value !== 'object' || value === null) return value
  if (key === '[]') {
    if (!Array.isArray(value)) return value
    const items = value.map((item) => changed(item, path, change, at + 1))
    return items.some((item, i) => item !== value[i]) ? items : value
  }
  if (Array.isArray(value) || !Object.hasOwn(value, key)) return value
  const before = (value as Record<string, unknown>)[key]
  const after = changed(before, path, change, at + 1)
  if (after === before) return value
  // Spread and defineProperty treat a key named __proto__ as data; assignment would not.
  return Object.defineProperty({ ...value }, key, {
    value: after,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}
