import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import { parseCount } from '../core/quantity.ts'

export function truth(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off|)$/i.test(text)) return false
  throw new EvtError('usage', `cannot read '${text}': it is neither true nor false`)
}

export function oneOf<const C extends readonly string[]>(choices: C): (text: string) => C[number] {
  return (text) => {
    if (choices.includes(text)) return text
    throw new EvtError('usage', `cannot read '${text}': it is none of ${choices.join(', ')}`)
  }
}

/** A number without a unit means seconds: so the seed systems' settings are written. */
export function durationOf(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text)
}

/** A number without a unit means milliseconds: so some of the seed systems' settings are. */
export function millisecondsOf(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : parseDuration(text)
}

export function atLeastOne(text: string): number {
  const count = parseCount(text)
  if (count >= 1) return count
  throw new EvtError('usage', `cannot read '${text}': it must be at least 1`)
}

export function listOf(text: string): string[] {
  return text.split(',').filter((name) => name !== '')
}
