import { EvtError } from './errors.ts'
import { compilePattern, compilePatterns, patternAlternatives } from './pattern.ts'

/** Who may publish and subscribe what, as patterns of types. What is left out allows everything, an empty list nothing. */
export interface AccessRules {
  readonly name: string
  readonly publishes?: readonly string[] | undefined
  readonly subscribes?: readonly string[] | undefined
}

/** The `cause` of what an access rule refuses. */
export interface Denied {
  readonly reason: 'access'
  readonly who: string
  readonly type: string
}

export interface Access {
  /** Throws EvtError('refused'), for which `isDenied` holds. */
  assertPublish(type: string): void
}

/** Compiled once. Throws EvtError('usage') for a pattern that is none. */
export function createAccess({ name, publishes }: AccessRules): Access | undefined {
  if (publishes === undefined) return undefined
  const allowed = compilePatterns(publishes)
  return {
    assertPublish(type) {
      if (allowed.matches(type)) return
      const cause: Denied = { reason: 'access', who: name, type }
      throw new EvtError('refused', `cannot publish ${type}: ${name} may publish ${listed(publishes)}`, {
        hint: `add it to publishes of ${name}, or let the service that owns it publish it`,
        cause,
      })
    },
  }
}

/** An access rule refused it: it is no use to try again. */
export function isDenied(error: unknown): error is EvtError & { readonly cause: Denied } {
  if (!(error instanceof EvtError) || error.code !== 'refused') return false
  return (error.cause as Partial<Denied> | null | undefined)?.reason === 'access'
}

/** A handler or a saga. */
interface Reader {
  readonly kind?: 'handler' | 'saga'
  readonly name: string
  readonly on: readonly (string | { readonly type: string })[]
}

/** Throws EvtError('config') naming the handler, or the saga, and what it may not subscribe to. */
export function assertSubscribes({ name, subscribes }: AccessRules, readers: readonly Reader[]): void {
  if (subscribes === undefined) return
  for (const { kind = 'handler', name: reader, on } of readers) {
    const wanted = on.map((one) => (typeof one === 'string' ? one : one.type))
    const refused = wanted.find((one) => !covers(subscribes, one))
    if (refused === undefined) continue
    throw new EvtError('config', `cannot use ${kind} ${reader}: ${name} may not subscribe to ${refused}`, {
      hint: `it may subscribe to ${listed(subscribes)}; add ${refused} to subscribes of defineService, or take it out of the ${kind}`,
    })
  }
}

const listed = (patterns: readonly string[]) => (patterns.length === 0 ? 'nothing' : patterns.join(', '))

/** No type has such a segment: what matches it matches whatever stands there. */
const unheardOf = 'zz-any'

/** Whether everything that `wanted` matches is matched by `allowed`. */
export function covers(allowed: readonly string[], wanted: string): boolean {
  const pattern = compilePatterns(allowed)
  // Wildcards count segments and see nothing else of them: beyond the longest rule, more segments change nothing.
  const most = Math.max(0, ...allowed.map((one) => one.split('.').length)) + 2
  return samplesOf(wanted, most).every((sample) => pattern.matches(sample))
}

function samplesOf(pattern: string, most: number): readonly string[] {
  const { types } = compilePattern(pattern)
  if (types) return types
  return patternAlternatives(pattern).flatMap((one) => {
    const parts = one.split('.')
    let samples: string[][] = [[]]
    for (const [at, part] of parts.entries()) {
      const isEnd = at === 0 || at === parts.length - 1
      const counts =
        part === '**' ? range(one === '**' ? 1 : 0, most) : part === '*' ? range(1, isEnd ? most : 1) : undefined
      samples = samples.flatMap((head) =>
        counts ? counts.map((n) => [...head, ...Array<string>(n).fill(unheardOf)]) : [[...head, part]],
      )
    }
    return samples.flatMap((segments) => (segments.length === 0 ? [] : [segments.join('.')]))
  })
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)
