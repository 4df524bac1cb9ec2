import { variableOf } from '../../config/keys.ts'
import { exitCodes } from '../../output/exit-codes.ts'
import type { Paint } from '../../output/paint.ts'
import { type Command, type OptionGroup, type OptionSpec, type Section, sections } from '../command.ts'
import { type CommandName, registry } from '../registry.ts'

interface Row {
  readonly left: string
  readonly right: string
}

const tries: readonly Row[] = [
  { left: 'evt demo', right: 'a whole system in this terminal, no server needed' },
  { left: "evt tail 'user.*'", right: 'follow events, from a second terminal' },
  { left: 'evt gen user.created --count 10', right: 'make some' },
  { left: 'evt dlq list', right: 'what failed, by cause' },
]

const titles: Record<Section, string> = {
  run: 'Run',
  watch: 'Watch',
  load: 'Make load',
  repair: 'Repair',
  'set up': 'Set up',
}

/** `evt --help`: made from the registry alone, so that no command is loaded. */
export function renderRootHelp(version: string, paint: Paint): string {
  const groups = sections.map((section) => {
    const rows = (Object.keys(registry) as CommandName[])
      .filter((name) => registry[name].section === section)
      .map((name) => ({ left: name, right: registry[name].summary }))
    return block(titles[section], rows, paint)
  })
  return [
    `evt ${version}: see, drive, test and repair an event-driven system\n`,
    `${paint('bold', 'Usage')}\n  evt <command> [options]\n`,
    ...groups,
    block('Try', tries, paint),
    block(
      'Exit codes',
      Object.values(exitCodes).map(({ code, says }) => ({ left: String(code), right: says })),
      paint,
    ),
    'evt <command> --help shows flags, variables and examples. Every flag has a variable: --dry-run is EVT_DRY_RUN.\n',
  ].join('\n')
}

/** `evt dlq --help`. */
export function renderGroupHelp(group: string, members: readonly CommandName[], paint: Paint): string {
  const rows = members.map((name) => ({ left: `evt ${name}`, right: registry[name].summary }))
  return `${block(`evt ${group}`, rows, paint)}\nevt ${group} <command> --help shows more.\n`
}

/** `evt tail --help`. */
export function renderCommandHelp(command: Command, options: OptionGroup, globals: OptionGroup, paint: Paint): string {
  const args = Object.entries(command.args)
  const usage = [
    `evt ${command.name}`,
    ...args.map(([name, { many, optional }]) => bracketed(name, many, optional)),
    '[options]',
  ]
  return [
    `${paint('bold', `evt ${command.name}`)}: ${command.summary}\n`,
    ...(command.description ? [`${command.description.trim()}\n`] : []),
    `${paint('bold', 'Usage')}\n  ${usage.join(' ')}\n`,
    ...(args.length > 0
      ? [
          block(
            'Arguments',
            args.map(([name, { says }]) => ({ left: name, right: says })),
            paint,
          ),
        ]
      : []),
    ...(Object.keys(options).length > 0 ? [block('Options', optionRows(options), paint)] : []),
    block('Options of every command', optionRows(globals), paint),
    block(
      'Examples',
      command.examples.map(({ line, says }) => ({ left: line, right: says })),
      paint,
    ),
    block(
      'Exit codes',
      Object.values(exitCodes).map(({ code, says }) => ({ left: String(code), right: says })),
      paint,
    ),
  ].join('\n')
}

function bracketed(name: string, many = false, optional = false): string {
  const inner = `${name}${many ? '…' : ''}`
  return optional ? `[${inner}]` : `<${inner}>`
}

function optionRows(options: OptionGroup): Row[] {
  return Object.entries(options).map(([key, spec]) => ({
    left: flagsOf(key, spec),
    right: `${spec.says}${notes(key, spec)}`,
  }))
}

function flagsOf(key: string, spec: OptionSpec<unknown>): string {
  const long = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  const short = spec.short ? `-${spec.short}, ` : '    '
  return `${short}--${spec.negatable ? '[no-]' : ''}${long}${spec.value ? ` <${spec.value}>` : ''}`
}

function notes(key: string, spec: OptionSpec<unknown>): string {
  const shown =
    spec.shownDefault ??
    (spec.value && typeof spec.default !== 'object' && spec.default !== undefined ? String(spec.default) : '')
  const facts = [
    spec.many ? 'repeatable' : '',
    shown ? `default ${shown}` : '',
    key === 'help' ? '' : variableOf(key),
  ].filter(Boolean)
  return facts.length > 0 ? ` (${facts.join(', ')})` : ''
}

function block(title: string, rows: readonly Row[], paint: Paint): string {
  const width = Math.min(44, Math.max(...rows.map(({ left }) => left.length)))
  const lines = rows.map(({ left, right }) =>
    left.length > width ? `  ${left}\n  ${' '.repeat(width)}  ${right}` : `  ${left.padEnd(width)}  ${right}`,
  )
  return `${paint('bold', title)}\n${lines.join('\n')}\n`
}
