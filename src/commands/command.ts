// Room commands: one file a command, and a command is data: help, completion, suggestions and the README table come
// from the same object. May not know argv, the environment, another command or a concrete transport.
import type { Outcome } from '../output/exit-codes.ts'
import type { Runtime } from './runtime.ts'

/** What a value parser may look at beside the text. */
export interface ParseContext {
  readonly nowMs: number
}
/** Text to value; throws EvtError('usage') or any Error whose message is the reason. */
export type Parse<T> = (text: string, context: ParseContext) => T

/** One flag. Its long name is the key in kebab-case, its variable `EVT_` and the key in capitals. */
export interface OptionSpec<T> {
  readonly says: string
  readonly short?: string
  /** Name of the value in help; a flag without one is a switch. */
  readonly value?: string
  readonly many?: boolean
  /** A switch that `--no-…` turns off. */
  readonly negatable?: boolean
  readonly parse?: Parse<unknown>
  readonly default?: unknown
  /** How help shows the default, where the value itself would not help. */
  readonly shownDefault?: string
  /** The key of the configuration that is looked at after the environment. */
  readonly config?: ConfiguredKey
  /** Phantom: what `run` gets. */
  readonly type?: T
}
/** Configuration keys that stand in for a flag. */
export type ConfiguredKey = 'store' | 'profile' | 'color' | 'services' | 'graceMs' | 'logLevel' | 'consume' | 'http'

export interface ArgSpec<T> {
  readonly says: string
  readonly many?: boolean
  readonly optional?: boolean
  readonly parse?: Parse<unknown>
  /** Phantom: what `run` gets. */
  readonly type?: T
}

export type OptionGroup = Readonly<Record<string, OptionSpec<unknown>>>
export type ArgGroup = Readonly<Record<string, ArgSpec<unknown>>>
type ValueOf<S> = S extends { readonly type?: infer T } ? Exclude<T, undefined> | UndefinedIn<S> : never
type UndefinedIn<S> = S extends { readonly defaulted: true } ? never : undefined
export type ValuesOf<G> = { readonly [K in keyof G]: ValueOf<G[K]> }

/** Marks a spec whose value is never undefined. */
export interface Defaulted {
  readonly defaulted: true
}
type Plain<T> = Omit<OptionSpec<T>, 'type' | 'parse' | 'default' | 'many' | 'negatable' | 'value'>

/** A switch: false unless given; with `on` true unless `--no-…` is given. */
export function flag(spec: Plain<boolean> & { readonly on?: true }): OptionSpec<boolean> & Defaulted {
  const { on, ...rest } = spec
  return { ...rest, default: on ?? false, ...(on ? { negatable: true } : {}), defaulted: true }
}

/** A switch with three states: `--x`, `--no-x`, and undefined when the command decides. */
export function tristate(spec: Plain<boolean>): OptionSpec<boolean> {
  return { ...spec, negatable: true }
}

interface ValueSpec<T> extends Plain<T> {
  readonly value: string
  readonly parse: Parse<T>
}
/** One value; undefined when neither given nor defaulted. */
export function value<const T>(spec: ValueSpec<T> & { readonly default: NoInfer<T> }): OptionSpec<T> & Defaulted
export function value<const T>(spec: ValueSpec<T>): OptionSpec<T>
export function value<T>(spec: ValueSpec<T> & { readonly default?: T }): OptionSpec<T> {
  return { ...spec, ...('default' in spec ? { defaulted: true } : {}) }
}

/** May be repeated; [] when not given. */
export function values<const T>(spec: ValueSpec<T>): OptionSpec<readonly T[]> & Defaulted {
  return { ...spec, many: true, default: [], defaulted: true }
}

type PlainArg = { readonly says: string }
export function argument(spec: PlainArg): ArgSpec<string> & Defaulted
export function argument<T>(spec: PlainArg & { readonly parse: Parse<T> }): ArgSpec<T> & Defaulted
export function argument<T>(spec: PlainArg & { readonly parse?: Parse<T> }): ArgSpec<T> & Defaulted {
  return { ...spec, defaulted: true }
}

/** Any number; [] when none is given and `optional`. */
export function argumentList(spec: PlainArg & { readonly optional?: true }): ArgSpec<readonly string[]> & Defaulted {
  return { ...spec, many: true, defaulted: true }
}

/** Text as it is. */
export const text: Parse<string> = (given) => given

/** One of a closed set. */
export function choice<const C extends readonly string[]>(choices: C): Parse<C[number]> {
  return (given) => {
    if (choices.includes(given)) return given
    throw new Error(`it is none of ${choices.join(', ')}`)
  }
}

export const sections = ['run', 'watch', 'load', 'repair', 'set up'] as const
export type Section = (typeof sections)[number]

/** Help shows it, the tests run it. */
export interface Example {
  readonly line: string
  readonly says: string
  /** What the test provides. Default 'store': a migrated database in EVT_STORE. */
  readonly needs?:
    | 'nothing'
    | 'store'
    | 'empty-store'
    | 'bridge'
    | 'dead-letter'
    | 'saga'
    | 'parked'
    | 'handler'
    | 'application-table'
    | 'redis'
    | 'brokers'
  /** Goes on until interrupted: the test waits for its first line on stderr, then presses Ctrl-C. */
  readonly endless?: true
  readonly exit?: number
}

export interface CommandSpec<A extends ArgGroup = ArgGroup, O extends OptionGroup = OptionGroup> {
  /** As typed: `tail`, `dlq list`. */
  readonly name: string
  readonly section: Section
  /** One line, for the table. */
  readonly summary: string
  readonly description?: string
  readonly examples: readonly Example[]
  readonly args: A
  readonly options: O
  /**
   * Builds its object, then renders it. Without an outcome the command is done, or interrupted when `runtime.signal`
   * was aborted. Releases what it opened, also when it throws.
   */
  run(input: Input<ValuesOf<A>, ValuesOf<O>>, runtime: Runtime): Promise<Outcome | undefined>
}

export interface Input<A, O> {
  readonly args: A
  readonly options: O
  /** Keys of the flags that stand on this command line itself, not in the environment or a file. */
  readonly typed: ReadonlySet<string>
}

/** A command whose types the dispatcher need not know. */
export interface Command extends Omit<CommandSpec, 'run'> {
  run(input: Input<object, object>, runtime: Runtime): Promise<Outcome | undefined>
}

export function defineCommand<const A extends ArgGroup, const O extends OptionGroup>(spec: CommandSpec<A, O>): Command {
  return spec as unknown as Command
}
