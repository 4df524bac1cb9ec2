/**
 * The first key of the value that reaches an object's prototype when somebody merges it carelessly: `__proto__`, or `prototype` below
 * `constructor`. Here it is data; behind this door are handlers that others wrote.
 */
export function inheritedKey(value: unknown): string | undefined {
  const open: unknown[] = [value]
  while (open.length > 0) {
    const one = open.pop()
    if (typeof one !== 'object' || one === null) continue
    if (Object.hasOwn(one, '__proto__')) return '__proto__'
    const made = Object.hasOwn(one, 'constructor') ? (one as { readonly constructor: unknown }).constructor : undefined
    if (typeof made === 'object' && made !== null && Object.hasOwn(made, 'prototype')) return 'constructor.prototype'
    for (const inner of Object.values(one)) if (typeof inner === 'object') open.push(inner)
  }
  return undefined
}

/** False is certain; with escapes in it, anything may be a key. */
export const mayInherit = (json: string): boolean => /__proto__|prototype|\\u00/i.test(json)
