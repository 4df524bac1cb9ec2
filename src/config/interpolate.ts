import { EvtError } from '../core/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Replaces `${NAME}` in every string of `value`, also within lists and plain records. Throws EvtError('config') naming variable, key
 * and file when it is unset.
 */
export function interpolate<T>(value: T, env: Environment, where: { readonly file: string; readonly key: string }): T {
  if (typeof value === 'string') return replaced(value, env, where) as T
  if (Array.isArray(value)) return value.map((item) => interpolate(item, env, where)) as T
  if (isData(value))
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, interpolate(item, env, where)])) as T
  return value
}

/** A record of scalars, and no service with its contracts and functions. */
function isData(value: unknown): value is object {
  const isScalar = (item: unknown) => item === null || !['object', 'function'].includes(typeof item)
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype &&
    Object.values(value).every((item) => (Array.isArray(item) ? item.every(isScalar) : isScalar(item)))
  )
}

function replaced(text: string, env: Environment, { file, key }: { file: string; key: string }): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_all, name: string) => {
    const found = env[name]
    if (found !== undefined) return found
    const hint = `set ${name}, or write the value into ${file}`
    throw new EvtError('config', `cannot use ${file}: ${key} needs the variable ${name}, which is not set`, { hint })
  })
}
