const mostLevels = 100

interface Depth {
  readonly path: readonly (string | number)[]
  readonly reason: string
  readonly hint: string
}

/** What holds itself, by an anchor of YAML or in code, and what is too deep to be read: either would end in a full stack. */
export function checkDepth(
  value: unknown,
  path: Depth['path'] = [],
  around: readonly unknown[] = [],
): Depth | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (around.includes(value)) return { path, reason: 'it holds itself', hint: 'repeat: 3 does steps several times' }
  if (path.length > mostLevels) {
    const reason = `it is nested deeper than ${mostLevels} levels`
    return { path, reason, hint: 'make a scenario of the inner steps, and include it' }
  }
  const inside = [...around, value]
  for (const [name, member] of Object.entries(value)) {
    const found = checkDepth(member, [...path, Array.isArray(value) ? Number(name) : name], inside)
    if (found) return found
  }
  return undefined
}
