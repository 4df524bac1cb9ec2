import { variableOf } from '../../config/keys.ts'
import { exitCodes, type Outcome } from '../../output/exit-codes.ts'
import { type Command, type OptionGroup, type OptionSpec, type Section, sections } from '../command.ts'
import { type CommandName, registry } from '../registry.ts'
import { block, exitCodeBlock, type Page, paragraph, type Row } from './help-page.ts'

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
export function renderRootHelp(version: string, page: Page): string {
  const { paint } = page
  const groups = sections.map((section) => {
    const rows = (Object.keys(registry) as CommandName[])
      .filter((name) => registry[name].section === section)
      .map((name) => ({ left: name, right: registry[name].summary }))
    return block(titles[section], rows, page)
  })
  return [
    `evt ${version}: see, drive, test and repair an event-driven system\n`,
    `${paint('bold', 'Usage')}\n  evt <command> [options]\n`,
    ...groups,
    block('Try', tries, page),
    exitCodeBlock(Object.keys(exitCodes) as Outcome[], page),
    paragraph(
      'evt <command> --help shows flags, variables and examples. Every flag has a variable: --dry-run is EVT_DRY_RUN.',
      page,
    ),
  ].join('\n')
}

/** `evt dlq --help`. */
export function renderGroupHelp(group: string, members: readonly CommandName[], page: Page): string {
  const rows = members.map((name) => ({ left: `evt ${name}`, right: registry[name].summary }))
  return `${block(`evt ${group}`, rows, page)}\nevt ${group} <command> --help shows more.\n`
}

const verdicts: readonly Outcome[] = ['broken', 'inconclusive', 'gate']
const outcomes = (Object.keys(exitCodes) as Outcome[]).filter((name) => !verdicts.includes(name))

/** `evt tail --help`. */
export function renderCommandHelp(command: Command, options: OptionGroup, globals: OptionGroup, page: Page): string {
  const { paint } = page
  const args = Object.entries(command.args)
  const usage = [
    `evt ${command.name}`,
    ...args.map(([name, { many, optional }]) => bracketed(name, many, optional)),
    '[options]',
  ]
  return [
    paragraph(`${paint('bold', `evt ${command.name}`)}: ${command.summary}`, page),
    ...(command.description ? [paragraph(command.description, page)] : []),
    `${paint('bold', 'Usage')}\n  ${usage.join(' ')}\n`,
    ...(args.length > 0
      ? [
          block(
            'Arguments',
            args.map(([name, { says }]) => ({ left: name, right: says })),
            page,
          ),
        ]
      : []),
    ...(Object.keys(options).length > 0 ? [block('Options', optionRows(options), page)] : []),
    block('Options of every command', optionRows(globals), page),
    block(
      'Examples',
      command.examples.map(({ line, says }) => ({ left: line, right: says })),
      page,
    ),
    exitCodeBlock(command.name === 'bench' ? [...outcomes, ...verdicts] : outcomes, page),
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
