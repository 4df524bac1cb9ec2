/** A copy of `value` in which the member at `path` is `to`; objects on the way are made, items of lists replaced. Nothing given is changed. */
export function withPath(value: unknown, path: readonly string[], to: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return to
  if (Array.isArray(value) && /^\d+$/.test(name)) {
    const items = [...value]
    items[Number(name)] = withPath(items[Number(name)], rest, to)
    return items
  }
  const object = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  return { ...object, [name]: withPath(object[name], rest, to) }
}

/** A copy without the member at `path`. */
export function withoutPath(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path
  if (name === undefined || typeof value !== 'object' || value === null) return value
  const { [name]: member, ...others } = value as Record<string, unknown>
  return rest.length === 0 ? others : { ...others, [name]: withoutPath(member, rest) }
}
