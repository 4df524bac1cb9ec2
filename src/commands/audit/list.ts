import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import { renderTable } from '../../output/table.ts'
import type { AuditRow } from '../../store/audit-log.ts'
import { defineCommand, flag, text, value } from '../command.ts'
import { formatOptions, limitOptions, spanOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const defaultLimit = 50

export default defineCommand({
  name: 'audit list',
  section: 'watch',
  summary: 'who did what with evt, when and why, and who was denied what',
  examples: [
    { line: 'evt audit list', says: 'the newest first' },
    { line: 'evt audit list --verb dlq --since 1d', says: 'all that was done to dead letters since yesterday' },
    { line: 'evt audit list --denied --json', says: 'what was refused, for a script' },
  ],
  args: {},
  options: {
    who: value({ value: 'name', says: 'only what this one did', parse: text }),
    verb: value({ value: 'words', says: "only this command, or those that begin so: 'dlq'", parse: text }),
    of: value({ value: 'target', says: 'only what was done to this', parse: text }),
    denied: flag({ says: 'only what was denied' }),
    ...spanOptions,
    ...limitOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options }, runtime) {
    const { who, verb, of: target, denied, since, until, limit = defaultLimit } = options
    const nowMs = runtime.now()
    const span = { sinceMs: timeOf('--since', since, nowMs), untilMs: timeOf('--until', until, nowMs) }
    return withStore(runtime, { command: 'audit list', max: 1 }, async (store) => {
      const { readAudit } = await import('../../store/audit-log.ts')
      const { rows, more } = await readAudit(store, { who, verb, target, denied, ...span, limit })
      runtime.output.result({
        data: { entries: rows },
        meta: { store: store.url, more },
        render: () => (rows.length === 0 ? 'nothing of the kind was done' : renderTable(rows, columns, runtime.output)),
      })
      if (more) runtime.output.notice(`there are more than ${limit}: --limit shows them`)
      return undefined
    })
  },
})

function timeOf(name: string, instant: Instant | undefined, nowMs: number): number | undefined {
  if (instant === undefined || instant === 'start') return undefined
  if (instant === 'now') return nowMs
  if ('timeMs' in instant) return instant.timeMs
  throw new EvtError('usage', `cannot use ${name}: what was done has a time, and no position`)
}

const columns = [
  { head: 'WHEN', cell: ({ at }: AuditRow) => at.slice(0, 19).replace('T', ' ') },
  { head: 'WHO', cell: ({ who }: AuditRow) => who },
  { head: 'WHAT', cell: ({ verb }: AuditRow) => verb },
  { head: 'TO WHAT', cell: ({ target }: AuditRow) => target, grows: true as const },
  { head: 'AFFECTED', cell: ({ affected }: AuditRow) => String(affected), align: 'right' as const },
  { head: 'WHY', cell: ({ reason }: AuditRow) => reason ?? '', expendable: 0 },
]
