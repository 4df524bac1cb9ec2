import { Command as Commander, CommanderError, Option } from 'commander'
import { variableOf } from '../../config/keys.ts'
import { quoted, reasonOf } from '../../config/load.ts'
import { truth } from '../../config/read-value.ts'
import { EvtError } from '../../core/errors.ts'
import type { ArgSpec, Command, OptionGroup, OptionSpec, ParseContext } from '../command.ts'

/** What stands on the line, before anything is parsed or looked up. */
export interface GivenLine {
  readonly args: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
}

export const longFlag = (key: string) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Splits words into arguments and flags by the command's own description. Throws EvtError('usage') with a suggestion. */
export function splitLine(command: Command, options: OptionGroup, words: readonly string[]): GivenLine {
  const commander = new Commander(command.name)
    .exitOverride()
    .helpOption(false)
    .configureOutput({ writeErr: () => {} })
  const names = Object.keys(command.args)
  for (const name of names) commander.argument(argumentSyntax(name, command.args[name] as ArgSpec<unknown>))
  for (const [key, spec] of Object.entries(options))
    for (const option of optionsOf(key, spec)) commander.addOption(option)
  // A missing argument must not hide a plea for help.
  const forHelp = words.includes('--help') || words.includes('-h')
  if (forHelp) return { args: {}, options: { help: true } }
  try {
    commander.action(() => {}).parse([...words], { from: 'user' })
  } catch (error) {
    throw asUsage(error, command)
  }
  return {
    args: Object.fromEntries(names.map((name, i) => [name, commander.processedArgs[i]])),
    options: commander.opts(),
  }
}

function argumentSyntax(name: string, { many, optional }: ArgSpec<unknown>): string {
  const dots = many ? '...' : ''
  return optional ? `[${name}${dots}]` : `<${name}${dots}>`
}

function optionsOf(key: string, spec: OptionSpec<unknown>): Option[] {
  const short = spec.short ? `-${spec.short}, ` : ''
  const long = longFlag(key)
  if (!spec.value) {
    const negated = spec.negatable ? [new Option(`--no-${long.slice(2)}`)] : []
    return [new Option(`${short}${long}`), ...negated]
  }
  const option = new Option(`${short}${long} <${spec.value}>`)
  if (spec.many)
    option.argParser((given: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), given])
  return [option]
}

function asUsage(error: unknown, command: Command): unknown {
  if (!(error instanceof CommanderError)) return error
  const [first = '', second = ''] = error.message.replace(/^error: /, '').split('\n')
  const meant = /Did you mean (.+)\?/.exec(second)?.[1]
  const hint = meant ? `did you mean ${meant}?` : `see evt ${command.name} --help`
  return new EvtError('usage', `cannot run evt ${command.name}: ${first}`, { hint })
}

interface Sources {
  readonly given: GivenLine
  readonly env: Readonly<Record<string, string | undefined>>
  readonly context: ParseContext
}

/** Flag, then variable, then default. Options with a configuration key are left to the configuration. */
export function optionValues(options: OptionGroup, { given, env, context }: Sources): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [key, spec] of Object.entries(options)) {
    const found = given.options[key]
    const variable = variableOf(key)
    if (found !== undefined) result[key] = parsed(spec, found, longFlag(key), context)
    else if (env[variable] && !spec.config) result[key] = fromVariable(spec, env[variable], variable, context)
    else result[key] = spec.default
  }
  return result
}

function fromVariable(spec: OptionSpec<unknown>, found: string, variable: string, context: ParseContext): unknown {
  if (spec.value) return parsed(spec, spec.many ? [found] : found, variable, context)
  return explained(() => truth(found), variable, found)
}

function parsed(
  spec: OptionSpec<unknown>,
  found: string | boolean | readonly string[],
  origin: string,
  context: ParseContext,
): unknown {
  const one = (text: string) => explained(() => (spec.parse ? spec.parse(text, context) : text), origin, text)
  if (typeof found === 'boolean') return found
  return typeof found === 'string' ? one(found) : found.map(one)
}

/** `cannot use --rate abc: it is no count`. */
function explained<T>(parse: () => T, origin: string, text: string): T {
  try {
    return parse()
  } catch (error) {
    const hint = error instanceof EvtError ? error.hint : undefined
    throw new EvtError('usage', `cannot use ${origin} ${quoted(text)}: ${reasonOf(error)}`, {
      cause: error,
      ...(hint ? { hint } : {}),
    })
  }
}

export function argumentValues(command: Command, given: GivenLine, context: ParseContext): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(command.args)) {
    const found = given.args[name]
    const one = (text: string) => explained(() => (spec.parse ? spec.parse(text, context) : text), `<${name}>`, text)
    result[name] =
      found === undefined ? (spec.many ? [] : undefined) : typeof found === 'string' ? one(found) : found.map(one)
  }
  return result
}
