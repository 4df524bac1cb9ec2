/** Every path below a value, sorted; elements of arrays are taken together as `[]`. */
export function pathsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => pathsOf(item, `${path}[]`)))].sort()
  if (typeof value !== 'object' || value === null) return []
  const deeper = Object.entries(value).flatMap(([name, inner]) => {
    const own = path === '' ? name : `${path}.${name}`
    return [own, ...pathsOf(inner, own)]
  })
  return [...new Set(deeper)].sort()
}
