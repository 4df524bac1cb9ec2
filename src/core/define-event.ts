import type { z } from 'zod'
import type { Contract, Lifecycle } from './contract.ts'
import { EvtError } from './errors.ts'

/** A version above the first: its schema, and how data of the version below becomes data of this one. */
export interface Upcasted<From, To> {
  readonly schema: z.ZodType<To>
  /** Pure: the same input gives the same output, and the input is not changed. */
  readonly upcast: (data: From) => NoInfer<To>
}

export interface DefineEventOptions {
  readonly draft?: boolean
  /** When generators may make it, where the last word of the type does not tell: `{ after: ['created'], ends: true }`. */
  readonly lifecycle?: Lifecycle
}

/** The latest version of an event type, which also knows all earlier ones. */
export interface EventContract<T = unknown> extends Contract<T> {
  /** Version 1 first, without gaps; the last one has this contract's schema. */
  readonly versions: readonly Contract[]
}

/**
 * Declares an event type with all its versions, numbered from 1 without gaps. The result is the contract of the latest
 * version; `.v1`, `.v2` … are the single ones. A draft is published only where the configuration names it (`drafts`). Throws
 * EvtError('config') when the name or the numbering is wrong.
 *
 *     const userCreated = defineEvent('user.created', { 1: first, 2: { schema: second, upcast: (old) => … } })
 */
// Most versions first: a signature with fewer would fix the type of `upcast` before it is refused.
export function defineEvent<A, B, C, D>(
  type: string,
  versions: {
    readonly 1: z.ZodType<A>
    readonly 2: Upcasted<A, B>
    readonly 3: Upcasted<B, C>
    readonly 4: Upcasted<C, D>
  },
  options?: DefineEventOptions,
): EventContract<D> & {
  readonly v1: Contract<A>
  readonly v2: Contract<B>
  readonly v3: Contract<C>
  readonly v4: Contract<D>
}
export function defineEvent<A, B, C>(
  type: string,
  versions: { readonly 1: z.ZodType<A>; readonly 2: Upcasted<A, B>; readonly 3: Upcasted<B, C> },
  options?: DefineEventOptions,
): EventContract<C> & { readonly v1: Contract<A>; readonly v2: Contract<B>; readonly v3: Contract<C> }
export function defineEvent<A, B>(
  type: string,
  versions: { readonly 1: z.ZodType<A>; readonly 2: Upcasted<A, B> },
  options?: DefineEventOptions,
): EventContract<B> & { readonly v1: Contract<A>; readonly v2: Contract<B> }
export function defineEvent<A>(
  type: string,
  versions: { readonly 1: z.ZodType<A> },
  options?: DefineEventOptions,
): EventContract<A> & { readonly v1: Contract<A> }
export function defineEvent(
  type: string,
  versions: Readonly<Record<number, Declared>>,
  { draft = false, lifecycle }: DefineEventOptions = {},
): EventContract {
  if (!typeName.test(type)) {
    throw new EvtError('config', `cannot define event ${JSON.stringify(type)}: a type is dotted lower-case words`, {
      hint: 'for example user.created',
    })
  }
  const contracts = Object.keys(versions).map((key, index) => {
    const contract = toContract(type, Number(key), index + 1, versions)
    if (!draft && !lifecycle) return contract
    return Object.freeze({ ...contract, ...(draft ? { draft } : {}), ...(lifecycle ? { lifecycle } : {}) })
  })
  const latest = contracts.at(-1)
  if (!latest) throw new EvtError('config', `cannot define event ${type}: it has no version`)
  const byName = Object.fromEntries(contracts.map((contract) => [`v${contract.version}`, contract]))
  return Object.freeze({ ...latest, ...byName, versions: Object.freeze(contracts) })
}

const typeName = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/

// biome-ignore lint/suspicious/noExplicitAny: the overloads above type each upcast by its neighbour
type Declared = z.ZodType | Upcasted<any, unknown>

/** Integer keys of an object come in ascending order, so a gap shows as a key that is not its place. */
function toContract(
  type: string,
  version: number,
  expected: number,
  versions: Readonly<Record<number, Declared>>,
): Contract {
  if (version !== expected) {
    throw new EvtError('config', `cannot define event ${type}: version ${expected} is missing before ${version}`)
  }
  const declared = versions[version] as Declared
  if ('upcast' in declared) return Object.freeze({ type, version, schema: declared.schema, upcast: declared.upcast })
  if (version > 1) throw new EvtError('config', `cannot define event ${type}: version ${version} has no upcast`)
  return Object.freeze({ type, version, schema: declared })
}
