import type { CaptureOptions, CaptureRule } from '../../store/capture.ts'
import { argument, choice, defineCommand, text, value, values } from '../command.ts'
import { refuseWhenReadonly } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { dryRunOptions, formatOptions, list, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'capture add',
  section: 'set up',
  summary: "turn the changes of an application's table into events",
  description: [
    'From then on each committed change is <entity>.created, .updated (with `changes`) or .deleted, in the transaction of',
    'the writer. A rule gives a change of one column a type of its own. Adding a table again replaces its capture.',
  ].join('\n'),
  examples: [
    { line: 'evt capture add users --dry-run', says: 'print the triggers', needs: 'application-table' },
    {
      line: "evt capture add users --rule 'is_active=false:user.suspended' --mask email",
      says: 'suspensions get a type of their own, addresses are hidden',
      needs: 'application-table',
    },
  ],
  args: { table: argument({ says: 'as SQL writes it: users, shop.orders' }) },
  options: {
    entity: value({
      value: 'name',
      says: 'first part of the types',
      parse: text,
      shownDefault: 'the table in the singular',
    }),
    subject: value({ value: 'columns', says: 'what identifies a row', parse: list, shownDefault: 'the primary key' }),
    rule: values({ value: 'column=value:type', says: 'is_active=false:user.suspended', parse: captureRule }),
    mode: value({
      value: 'mode',
      says: 'row, statement or auto',
      parse: choice(['row', 'statement', 'auto']),
      default: 'auto',
    }),
    exclude: values({ value: 'columns', says: 'not captured at all', parse: list }),
    mask: values({ value: 'columns', says: 'captured as ***', parse: list }),
    lift: values({ value: 'columns', says: 'also beside the id, outside the data', parse: list }),
    rename: values({ value: 'column=name', says: 'another name in the event', parse: pair }),
    dataKey: value({ value: 'name', says: 'where the columns stand', parse: text, shownDefault: '<entity>_data' }),
    channel: value({ value: 'name', says: 'also NOTIFY each event there (costs every writer)', parse: text }),
    class: value({ value: 'name', says: 'retention class', parse: text }),
    ...dryRunOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { table }, options }, runtime) {
    const wanted = captureOptionsOf(table, options)
    return withStore(runtime, { command: 'capture add', max: 1, changes: !options.dryRun }, async (store) => {
      const { addCapture, captureSql } = await import('../../store/capture.ts')
      if (!options.dryRun) refuseWhenReadonly(runtime, `capture ${table} on ${store.url}`)
      const audit = await auditAs('capture add', { target: table, details: wanted })
      const statements = options.dryRun ? await captureSql(store, wanted) : await addCapture(store, wanted, { audit })
      runtime.output.result({
        data: { table, dryRun: options.dryRun, statements },
        meta: { store: store.url },
        render: () => (options.dryRun ? `${statements.join(';\n\n')};` : `${table} on ${store.url} is captured`),
      })
      if (!options.dryRun)
        runtime.output.notice(`see them with: evt tail '${wanted.entity ?? '*'}${wanted.entity ? '.*' : ''}'`)
      return undefined
    })
  },
})

interface Given {
  readonly entity?: string | undefined
  readonly subject?: readonly string[] | undefined
  readonly rule: readonly CaptureRule[]
  readonly mode: 'row' | 'statement' | 'auto'
  readonly exclude: readonly (readonly string[])[]
  readonly mask: readonly (readonly string[])[]
  readonly lift: readonly (readonly string[])[]
  readonly rename: readonly (readonly [string, string])[]
  readonly dataKey?: string | undefined
  readonly channel?: string | undefined
  readonly class?: string | undefined
}

function captureOptionsOf(table: string, given: Given): CaptureOptions {
  const { entity, subject, rule, mode, dataKey, channel } = given
  return {
    table,
    mode,
    rules: rule,
    exclude: given.exclude.flat(),
    mask: given.mask.flat(),
    lift: given.lift.flat(),
    rename: Object.fromEntries(given.rename),
    ...(entity ? { entity } : {}),
    ...(subject ? { subject } : {}),
    ...(dataKey ? { dataKey } : {}),
    ...(channel ? { channel } : {}),
    ...(given.class ? { class: given.class } : {}),
  }
}

/** `is_active=false:user.suspended`; `status=paid->refunded:order.refunded` also says what it was before. */
export function captureRule(given: string): CaptureRule {
  const match = /^([^=]+)=(?:(.*)->)?(.*):([^:]+)$/.exec(given)
  if (!match) throw new Error('it is no column=value:type, such as is_active=false:user.suspended')
  const [, column = '', from, to = '', type = ''] = match
  const when = { column: column.trim(), to: literal(to), ...(from === undefined ? {} : { from: literal(from) }) }
  return { when, type: type.trim() }
}

/** PostgreSQL reads text as the column's type; only NULL is not text. */
const literal = (word: string) => (word.trim().toLowerCase() === 'null' ? null : word.trim())

function pair(given: string): readonly [string, string] {
  const [from = '', to = ''] = given.split('=')
  if (from === '' || to === '') throw new Error('it is no column=name')
  return [from, to]
}
