import type { EvtError } from './errors.ts'
import { suggestion } from './suggest.ts'

/** Every key of a shape: the compiler holds the list complete. */
export type KeysOf<T> = Readonly<Record<keyof T, true>>

export type Refuse = (reason: string, hint?: string) => EvtError

interface Field {
  /** What has the keys, where it is not the whole: `retry`. */
  readonly field?: string
  readonly refuse: Refuse
}

/**
 * Throws what `refuse` makes of a key that nothing would read, with the one that was meant: what configuration holds is not type-checked where
 * types are only stripped. What a class made may have fields of its own, and so may be undefined ones.
 */
export function assertKnownKeys(given: object, known: Readonly<Record<string, true>>, { field, refuse }: Field): void {
  const prototype = Object.getPrototypeOf(given)
  if (prototype !== Object.prototype && prototype !== null) return
  const unknown = Object.keys(given).find(
    (key) => !Object.hasOwn(known, key) && (given as Record<string, unknown>)[key] !== undefined,
  )
  if (unknown === undefined) return
  const names = Object.keys(known)
  const path = field === undefined ? unknown : `${field}.${unknown}`
  throw refuse(`it has no option ${path}`, suggestion(unknown, names) ?? `it has ${names.join(', ')}`)
}

/** The same for one value of a closed set. */
export function assertOneOf(value: unknown, allowed: readonly string[], { field, refuse }: Required<Field>): void {
  if (value === undefined || allowed.includes(value as string)) return
  const meant = typeof value === 'string' ? suggestion(value, allowed) : undefined
  throw refuse(`${field} ${String(value)} is unknown`, meant ?? `one of ${allowed.join(', ')}`)
}
