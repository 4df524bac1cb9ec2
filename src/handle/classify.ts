import { isDenied } from '../core/access.ts'
import { EvtError } from '../core/errors.ts'
import { HopLimit } from './caused.ts'
import type { ErrorFacts } from './failure.ts'

/**
 * - `transient`: two transactions met (serialization failure, deadlock) or a prepared plan aged: try again at once
 * - `hopeless`: no retry can mend it
 * - `retryable`: the event's attempt failed
 */
export type Verdict = 'transient' | 'hopeless' | 'retryable'

const hopelessCodes: ReadonlySet<string> = new Set(['decode', 'contract', 'checksum', 'unknown-type'])

/** `extra` are names and codes that the handler declared as not retryable. */
export function classify(thrown: unknown, facts: ErrorFacts, extra: ReadonlySet<string>): Verdict {
  if (facts.code === '40001' || facts.code === '40P01') return 'transient'
  if (facts.code === '0A000' && facts.message.includes('cached plan')) return 'transient'
  if (thrown instanceof HopLimit) return 'hopeless'
  // What is too long for an index is so each time.
  if (facts.code === '54000') return 'hopeless'
  if (thrown instanceof EvtError && hopelessCodes.has(thrown.code)) return 'hopeless'
  if (isDenied(thrown)) return 'hopeless'
  if (extra.has(facts.class) || (facts.code !== undefined && extra.has(facts.code))) return 'hopeless'
  return extra.size > 0 && ancestry(thrown).some((name) => extra.has(name)) ? 'hopeless' : 'retryable'
}

/** Names of the classes that the value is an instance of; stops at Object. */
function ancestry(thrown: unknown): string[] {
  const names: string[] = []
  try {
    let proto: unknown = Object.getPrototypeOf(thrown)
    while (proto && proto !== Object.prototype && names.length < 20) {
      names.push((proto as { constructor: { name: string } }).constructor.name)
      proto = Object.getPrototypeOf(proto)
    }
  } catch {
    // Not an object, or a proxy that refuses: it has no classes.
  }
  return names
}
