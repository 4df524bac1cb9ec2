import { parseDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'

/** What a handler of the bench does with each event. */
export type HandlerKind =
  /** Writes one row in its transaction. */
  | { readonly kind: 'effect' }
  | { readonly kind: 'noop' }
  /** Waits without using the CPU, for `ms` give or take `spreadMs`. */
  | { readonly kind: 'sleep'; readonly ms: number; readonly spreadMs: number }
  /** Keeps the CPU busy. */
  | { readonly kind: 'cpu'; readonly ms: number }

/** Parses `effect`, `noop`, `sleep:5ms`, `sleep:5ms±1ms`, `cpu:1ms`. Throws `usage`. */
export function parseHandlerKind(text: string): HandlerKind {
  const [kind, rest] = splitOnce(text, ':')
  if ((kind === 'effect' || kind === 'noop') && rest === undefined) return { kind }
  if (kind === 'cpu' && rest) return { kind, ms: parseDuration(rest) }
  if (kind === 'sleep' && rest) {
    const [ms, spread] = splitOnce(rest, rest.includes('±') ? '±' : '+-')
    return { kind, ms: parseDuration(ms), spreadMs: spread === undefined ? 0 : parseDuration(spread) }
  }
  throw new EvtError('usage', `cannot use handler '${text}': it is effect, noop, sleep:TIME±TIME or cpu:TIME`, {
    hint: 'examples: --handler effect, --handler sleep:5ms±1ms',
  })
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** A name for each: its kind, numbered where there are several of one. */
export function nameKinds(kinds: readonly HandlerKind[]): string[] {
  return kinds.map(({ kind }, index) => {
    const before = kinds.slice(0, index).filter((other) => other.kind === kind).length
    return before === 0 ? kind : `${kind}-${before + 1}`
  })
}
