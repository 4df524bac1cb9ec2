import { compilePatterns } from '../core/pattern.ts'

/** Decides by type, remembering each type it saw: patterns are matched once a type, not once a message. */
export type Wanted = (type: string) => boolean

const maxRemembered = 4096

/**
 * No patterns, or one that matches everything among them: everything, also what has no type. Throws `usage` for a pattern
 * that cannot be read.
 */
export function createWanted(patterns: readonly string[]): Wanted {
  if (patterns.length === 0 || patterns.some((pattern) => pattern === '*' || pattern === '**')) return () => true
  const pattern = compilePatterns(patterns)
  const known = new Map<string, boolean>()
  return (type) => {
    const remembered = known.get(type)
    if (remembered !== undefined) return remembered
    const wanted = pattern.matches(type)
    if (known.size >= maxRemembered) known.clear()
    known.set(type, wanted)
    return wanted
  }
}
