import { parseDuration } from './duration.ts'
import { EvtError } from './errors.ts'
import { compilePattern } from './pattern.ts'

/** How long which events are kept, as a person says it. */
export interface RetentionOptions {
  /** How long events of the class `default` are kept; counts before `classes.default`. */
  readonly keep?: string | undefined
  /** Class → how long, in whole days: `{ short: '7d' }`. Classes that are not named stay as the store has them. */
  readonly classes?: Readonly<Record<string, string>> | undefined
  /** Pattern → class; the first that matches an event's type counts, what none matches is of the class `default`. */
  readonly types?: Readonly<Record<string, string>> | undefined
  /** A directory: what is dropped is written there before. */
  readonly archive?: string | undefined
}

/** After validation. What is undefined stays as the store has it. */
export interface RetentionPolicy {
  readonly days: Readonly<Record<string, number>>
  readonly types: readonly TypeClass[] | undefined
  readonly archive: string | undefined
}

export interface TypeClass {
  readonly pattern: string
  readonly class: string
}

/** What every store has. */
const ownClasses = ['default', 'audit', 'scratch']
const dayMs = 86_400_000
const longestDays = 36_500

/** Throws EvtError('config') for a class, a pattern or a time that cannot be. */
export function resolveRetention({ keep, classes = {}, types, archive }: RetentionOptions): RetentionPolicy {
  const days: Record<string, number> = {}
  for (const [name, text] of Object.entries(classes)) {
    if (!/^[a-z][a-z0-9]{0,15}$/.test(name))
      throw unfit(`classes.${name}`, 'a class is up to 16 small letters and digits, the first a letter')
    days[name] = daysOf(`classes.${name}`, text)
  }
  if (keep !== undefined) days.default = daysOf('keep', keep)
  const known = new Set([...ownClasses, ...Object.keys(days)])
  const rules = Object.entries(types ?? {}).map(([pattern, to]) => {
    checkPattern(pattern)
    if (known.has(to)) return { pattern, class: to }
    throw unfit(`types['${pattern}']`, `there is no class ${to}; they are ${[...known].join(', ')}`)
  })
  if (archive === '') throw unfit('archive', 'it is empty')
  return { days, types: types && rules, archive }
}

function daysOf(where: string, text: string): number {
  try {
    const days = parseDuration(text) / dayMs
    if (Number.isInteger(days) && days >= 1 && days <= longestDays) return days
  } catch {
    // Said below, with an example.
  }
  const reason = `'${text}' is no number of whole days from 1d to ${longestDays}d`
  throw unfit(where, reason, /^\d+$/.test(text) ? `write '${text}d'` : undefined)
}

function checkPattern(pattern: string): void {
  try {
    compilePattern(pattern)
  } catch (error) {
    throw unfit(`types['${pattern}']`, (error as Error).message)
  }
}

function unfit(where: string, reason: string, hint?: string): EvtError {
  return new EvtError('config', `cannot use retention.${where}: ${reason}`, {
    hint:
      hint ??
      "for example retention: { classes: { short: '7d' }, types: { 'debug.*': 'short' }, archive: '/var/evt/archive' }",
  })
}
