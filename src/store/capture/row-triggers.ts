import type { CaptureConfig } from './config.ts'
import { changesOf, differs, documentOf, literal, omittedDocumentOf, subjectOf, updateTypeOf } from './document.ts'
import {
  checksumOf,
  classOf,
  dataLimit,
  notifyOf,
  outboxColumns,
  outboxOf,
  returning,
  settingValues,
  sourceOf,
  wakeRelay,
} from './envelope.ts'

/** The bodies of the three trigger functions, in plpgsql, for triggers that fire for each row. */
export interface TriggerBodies {
  readonly insert: string
  readonly update: string
  readonly delete: string
}

/** Straight-line code: one insert a row. A row whose key changes is another aggregate: the old is deleted, a new created. */
export function rowBodies(config: CaptureConfig): TriggerBodies {
  const created = emit(config, 'new', literal(`${config.entity}.created`))
  const deleted = emit(config, 'old', literal(`${config.entity}.deleted`))
  const updated = emit(config, 'new', updateTypeOf(config), changesOf(config))
  const moved = config.key.map((column) => differs(column)).join(' or ')
  return {
    insert: body(created),
    delete: body(deleted),
    update: body(`if ${moved} then\n${deleted}\n${created}\nelse\n${updated}\nend if;`),
  }
}

/** What the update trigger fires for: a change of a captured column. It also keeps those columns from being dropped unseen. */
export function changedCondition(config: CaptureConfig): string {
  return config.columns.map((column) => differs(column)).join(' or ')
}

function body(statements: string): string {
  // A variable that is not used costs all the same.
  const variables = ['doc text', 'names text', 'event record'].filter(
    (variable) =>
      statements.includes(`${variable.split(' ')[0]} := `) ||
      (variable === 'event record' && statements.includes('into event')),
  )
  return `declare\n  ${variables.join('; ')};\nbegin\n${statements}\n${wakeRelay}\nreturn null;\nend`
}

function emit(config: CaptureConfig, row: string, type: string, changes?: string): string {
  const names = changes && 'names'
  const values = [
    classOf(config, type),
    'evt.uuid7()::text',
    type,
    sourceOf(config),
    subjectOf(config, row),
    ...settingValues,
    'doc::json',
    checksumOf('doc'),
  ]
  const insert = `insert into ${outboxOf(config)} (${outboxColumns}) values (${values.join(', ')})`
  return [
    changes ? `names := ${changes};` : '',
    `doc := ${documentOf(config, row, names)};`,
    `if octet_length(doc) > ${dataLimit} then`,
    `  doc := ${omittedDocumentOf(config, row, names, 'octet_length(doc)')};`,
    'end if;',
    config.channel ? `${insert} ${returning} into event;\n${notifyOf(config, 'event')}` : `${insert};`,
  ]
    .filter(Boolean)
    .join('\n')
}
