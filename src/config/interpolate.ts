import { EvtError } from '../core/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Replaces `${NAME}` in every string of `value`. Throws EvtError('config') naming variable, key and file when it is unset. */
export function interpolate<T>(value: T, env: Environment, where: { readonly file: string; readonly key: string }): T {
  if (typeof value === 'string') return replaced(value, env, where) as T
  if (Array.isArray(value)) return value.map((item) => interpolate(item, env, where)) as T
  return value
}

function replaced(text: string, env: Environment, { file, key }: { file: string; key: string }): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_all, name: string) => {
    const found = env[name]
    if (found !== undefined) return found
    const hint = `set ${name}, or write the value into ${file}`
    throw new EvtError('config', `cannot use ${file}: ${key} needs the variable ${name}, which is not set`, { hint })
  })
}
