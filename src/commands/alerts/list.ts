import { formatAge } from '../../core/duration.ts'
import { renderTable } from '../../output/table.ts'
import type { AlertRow } from '../../store/alerts.ts'
import { defineCommand, flag } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'alerts list',
  section: 'watch',
  summary: 'alerts that fire or are about to: since when, about what, and the value',
  description:
    'Looked for by bridges of role relay: built-in rules, and `alerts` of evt.config.* (docs/observability.md). PENDING: it has to hold for longer.',
  examples: [
    { line: 'evt alerts list', says: 'what fires now' },
    { line: 'evt alerts list --all', says: 'also what is over' },
    { line: 'evt alerts list --json', says: 'for a script' },
  ],
  args: {},
  options: { all: flag({ says: 'also those that are over' }), ...storeOptions, ...formatOptions },
  async run({ options: { all } }, runtime) {
    return withStore(runtime, { command: 'alerts list', max: 1 }, async (store) => {
      const { listAlerts } = await import('../../store/alerts.ts')
      const rows = await listAlerts(store, { all })
      const nowMs = runtime.now()
      runtime.output.result({
        data: { alerts: rows.map(shown) },
        meta: { store: store.url },
        render: () => (rows.length === 0 ? 'no alert fires' : renderTable(rows, columnsAt(nowMs), runtime.output)),
      })
      return undefined
    })
  },
})

const timeOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

const shown = ({ sinceMs, firedMs, resolvedMs, toldMs, ...row }: AlertRow) => ({
  ...row,
  since: timeOf(sinceMs),
  firedAt: timeOf(firedMs),
  resolvedAt: timeOf(resolvedMs),
  toldAt: timeOf(toldMs),
})

const columnsAt = (nowMs: number) => [
  { head: 'STATE', cell: ({ state }: AlertRow) => state },
  { head: 'SEVERITY', cell: ({ severity }: AlertRow) => severity },
  { head: 'ALERT', cell: ({ alert }: AlertRow) => alert },
  { head: 'ABOUT', cell: ({ key }: AlertRow) => key, grows: true as const },
  { head: 'SINCE', cell: ({ sinceMs }: AlertRow) => formatAge(Math.max(0, nowMs - sinceMs)), align: 'right' as const },
  { head: 'SAYS', cell: ({ says }: AlertRow) => says, expendable: 0 },
]
