import type { CaptureConfig } from './config.ts'
import {
  changesOf,
  columnOf,
  differs,
  documentOf,
  literal,
  omittedDocumentOf,
  subjectOf,
  updateTypeOf,
} from './document.ts'
import {
  checksumOf,
  classOf,
  dataLimit,
  notifyOf,
  outboxColumns,
  outboxOf,
  returning,
  settingColumns,
  settingsRow,
  sourceOf,
  wakeRelay,
} from './envelope.ts'
import type { TriggerBodies } from './row-triggers.ts'

/** Rows of a transition table as events: expressions over the aliases of `from`. */
interface Rows {
  readonly from: string
  readonly where: string
  readonly subject: string
  readonly type: string
  readonly document: string
  /** Instead of `document` when that is too large; the large one is `whole.doc`. */
  readonly omitted: string
}

/** One insert a statement, from the transition tables `old_rows` and `new_rows`. */
export function statementBodies(config: CaptureConfig): TriggerBodies {
  return {
    insert: body(config, plain(config, 'new_rows', 'created')),
    delete: body(config, plain(config, 'old_rows', 'deleted')),
    update: body(config, updated(config)),
  }
}

const size = 'octet_length(whole.doc)'

function plain(config: CaptureConfig, table: string, verb: string): Rows {
  return {
    from: `${table} r`,
    where: 'true',
    subject: subjectOf(config, 'r'),
    type: literal(`${config.entity}.${verb}`),
    document: documentOf(config, 'r', undefined),
    omitted: omittedDocumentOf(config, 'r', undefined, size),
  }
}

/** A row whose key changed has no partner in the other table: it was deleted there and created here. */
function updated(config: CaptureConfig): Rows {
  const [b, a] = ['b', 'a']
  const [key] = config.key
  const same = config.key.map((column) => `${columnOf(b, column)} = ${columnOf(a, column)}`).join(' and ')
  const noBefore = key ? `${columnOf(b, key)} is null` : 'false'
  const noAfter = key ? `${columnOf(a, key)} is null` : 'false'
  const differing = config.columns.map((column) => differs(column, b, a)).join(' or ')
  const pick = (created: string, deleted: string, changed: string) =>
    `case when ${noBefore} then ${created} when ${noAfter} then ${deleted} else ${changed} end`
  const of = (make: (row: string, changes: string | undefined) => string) =>
    pick(make(a, undefined), make(b, undefined), make(a, changesOf(config, b, a)))
  return {
    from: `(old_rows b full join new_rows a on ${same})`,
    where: differing,
    subject: `case when ${noAfter} then ${subjectOf(config, b)} else ${subjectOf(config, a)} end`,
    type: pick(literal(`${config.entity}.created`), literal(`${config.entity}.deleted`), updateTypeOf(config, b, a)),
    document: of((row, changes) => documentOf(config, row, changes)),
    omitted: of((row, changes) => omittedDocumentOf(config, row, changes, size)),
  }
}

function body(config: CaptureConfig, rows: Rows): string {
  const insert = `insert into ${outboxOf(config)} (${outboxColumns})
select ${classOf(config, 'e.type')}, evt.uuid7()::text, e.type, ${sourceOf(config)}, e.subject,
  ${settingColumns('s')}, e.data::json, ${checksumOf('e.data')}
from (
  select ${rows.subject} as subject, ${rows.type} as type,
    case when ${size} > ${dataLimit} then ${rows.omitted} else whole.doc end as data
  from ${rows.from} cross join lateral (select ${rows.document} as doc offset 0) whole
  where ${rows.where}
  offset 0
) e, ${settingsRow} s`
  if (!config.channel) return `begin\n${insert};\n${wakeRelay}\nreturn null;\nend`
  const loop = `for event in ${insert} ${returning} loop\n${notifyOf(config, 'event')}\nend loop;`
  return `declare\n  event record;\nbegin\n${loop}\n${wakeRelay}\nreturn null;\nend`
}
