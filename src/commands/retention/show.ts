import { formatCount, formatSize } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { ClassReport, RetentionReport } from '../../store/retention-report.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { retentionOf } from '../line/retention.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'retention show',
  section: 'watch',
  summary: 'what each class keeps, what may go, and who still needs what',
  description:
    'With the days that the configuration says, which a bridge or `evt retention run` writes into the store.',
  examples: [
    { line: 'evt retention show', says: 'classes, and partitions past their age' },
    { line: 'evt retention show --json', says: 'for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'retention show', max: 1 }, async (store) => {
      const { readRetention } = await import('../../store/retention-report.ts')
      const report = await readRetention(store, retentionOf(runtime).days)
      const render = () => renderTable(report.classes, columns, runtime.output) + linesOf(report)
      runtime.output.result({ data: report, meta: { store: store.url }, render })
      return undefined
    })
  },
})

function linesOf({ due, restored }: RetentionReport): string {
  const lines = [
    due.length === 0 ? 'nothing is past its age' : 'past its age:',
    ...due.map(({ table, stays }) => `  ${table}: ${stays === null ? 'may go' : `stays, ${stays}`}`),
    ...restored.map((one) => `restored: ${one.class} of ${one.day}, kept until ${one.keepUntil}`),
  ]
  return `\n${lines.join('\n')}\n`
}

const columns = [
  { head: 'CLASS', cell: (row: ClassReport) => row.class },
  { head: 'KEPT', cell: (row: ClassReport) => `${row.days}d`, align: 'right' as const },
  { head: 'DAYS', cell: (row: ClassReport) => row.partitions, align: 'right' as const },
  { head: 'EVENTS', cell: (row: ClassReport) => `~${formatCount(row.events)}`, align: 'right' as const },
  { head: 'SIZE', cell: (row: ClassReport) => formatSize(row.bytes), align: 'right' as const },
  { head: 'OLDEST', cell: (row: ClassReport) => row.oldest ?? undefined },
  { head: 'NEXT DROP', cell: (row: ClassReport) => row.nextDrop ?? undefined },
  { head: 'ARCHIVES', cell: (row: ClassReport) => row.archives, align: 'right' as const },
  { head: 'TYPES', cell: (row: ClassReport) => row.types.join(' ') || undefined, grows: true as const },
]
