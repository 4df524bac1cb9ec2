import { EvtError } from '../../core/errors.ts'
import { type CommandName, registry } from '../registry.ts'

export type Found =
  | { readonly kind: 'command'; readonly name: CommandName; readonly words: readonly string[] }
  | { readonly kind: 'group'; readonly name: string; readonly help: boolean }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }

const names = Object.keys(registry) as CommandName[]
const isHelp = (word: string | undefined) => word === '--help' || word === '-h'
/** Flags of every command; before the command's name they count as if they stood after it. */
const leading = new Map([
  ['--profile', 1],
  ['-p', 1],
  ['--config', 1],
  ['--color', 1],
  ['--store', 1],
  ['--json', 0],
  ['--quiet', 0],
  ['-q', 0],
  ['--verbose', 0],
  ['-v', 0],
  ['--debug', 0],
])

/** Which command the words name: the longest name wins. Throws EvtError('usage') with the nearest name. */
export async function findCommand(argv: readonly string[]): Promise<Found> {
  if (argv.some(isHelp) && argv.every((word) => word.startsWith('-'))) return { kind: 'help' }
  const { flags, rest } = splitLeading(argv)
  const [first] = rest
  if (first === undefined) return { kind: 'command', name: 'status', words: flags }
  if (first === '--version' || first === '-V') return { kind: 'version' }
  if (first === 'help') return findHelp(rest.slice(1))
  const name = longestName(rest)
  if (name) return { kind: 'command', name, words: [...flags, ...rest.slice(name.split(' ').length)] }
  if (groupMembers(first).length > 0) return findInGroup(first, rest[1])
  throw await unknownCommand(
    first,
    names.map((known) => known.split(' ')[0] as string),
  )
}

function splitLeading(argv: readonly string[]): { flags: string[]; rest: string[] } {
  let at = 0
  while (at < argv.length) {
    const word = argv[at] as string
    const takes = leading.get(word.split('=')[0] as string)
    if (takes === undefined) break
    at += word.includes('=') ? 1 : 1 + takes
  }
  return { flags: argv.slice(0, at), rest: argv.slice(at) }
}

const longestName = (words: readonly string[]): CommandName | undefined =>
  names.filter((name) => name.split(' ').every((part, i) => part === words[i])).sort((a, b) => b.length - a.length)[0]

export const groupMembers = (group: string): CommandName[] => names.filter((name) => name.startsWith(`${group} `))

async function findHelp(rest: readonly string[]): Promise<Found> {
  const [first] = rest
  if (first === undefined) return { kind: 'help' }
  const name = longestName(rest)
  if (name) return { kind: 'command', name, words: ['--help'] }
  if (groupMembers(first).length > 0) return { kind: 'group', name: first, help: true }
  throw await unknownCommand(first, names)
}

async function findInGroup(group: string, verb: string | undefined): Promise<Found> {
  if (verb === undefined || isHelp(verb)) return { kind: 'group', name: group, help: isHelp(verb) }
  throw await unknownCommand(`${group} ${verb}`, groupMembers(group), group)
}

async function unknownCommand(given: string, candidates: readonly string[], group?: string): Promise<EvtError> {
  const { closest } = await import('../../core/suggest.ts')
  const meant = closest(given, [...new Set(candidates)])
  const what = given.startsWith('-') ? 'flag' : 'command'
  return new EvtError('usage', `cannot run evt ${given}: there is no such ${what}`, {
    hint: meant ? `did you mean evt ${meant}?` : `see evt ${group ? `${group} ` : ''}--help`,
  })
}
