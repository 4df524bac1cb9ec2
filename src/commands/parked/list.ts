import { formatAge } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { ParkedQueue } from '../../store/parked-list.ts'
import { defineCommand, text, value } from '../command.ts'
import { formatOptions, limitOptions, storeOptions } from '../line/options.ts'
import { whyParked } from '../line/parked.ts'
import { withStore } from '../line/store.ts'

const defaultLimit = 100

export default defineCommand({
  name: 'parked list',
  section: 'watch',
  summary: 'subjects that wait: for a retry, for a dead letter, for a contract that no bridge knows yet',
  description: [
    'The first event of a subject that cannot be handled holds the later ones back, so that their order stays. What waits for a',
    'contract goes on by itself when a bridge that knows the version starts. `evt parked retry` tries it now, `evt parked skip` makes it a',
    'dead letter and lets the later ones go on.',
  ].join('\n'),
  examples: [
    { line: 'evt parked list', says: 'what waits, since when, and why' },
    { line: 'evt parked list --handler billing.invoice --json', says: 'of one handler, for a script' },
  ],
  args: {},
  options: {
    handler: value({ value: 'name', says: 'only of this one', parse: text }),
    ...limitOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options: { handler, limit = defaultLimit } }, runtime) {
    return withStore(runtime, { command: 'parked list', max: 1 }, async (store) => {
      const { listParked } = await import('../../store/parked-list.ts')
      const { queues, total } = await listParked(store, { handler, limit })
      const nowMs = runtime.now()
      runtime.output.result({
        data: { parked: queues },
        meta: { store: store.url, total },
        render: () => (queues.length === 0 ? 'nothing waits' : renderTable(queues, columnsAt(nowMs), runtime.output)),
      })
      if (total > queues.length) runtime.output.notice(`shown ${queues.length} of ${formatCount(total)}`)
      return undefined
    })
  },
})

const columnsAt = (nowMs: number) => [
  { head: 'HANDLER', cell: ({ handler }: ParkedQueue) => handler },
  { head: 'SUBJECT', cell: ({ subject }: ParkedQueue) => subject ?? undefined },
  { head: 'EVENTS', cell: ({ events }: ParkedQueue) => formatCount(events), align: 'right' as const },
  {
    head: 'SINCE',
    cell: ({ since }: ParkedQueue) => formatAge(Math.max(0, nowMs - Date.parse(since))),
    align: 'right' as const,
  },
  { head: 'TYPE', cell: ({ type }: ParkedQueue) => type ?? undefined },
  { head: 'ATTEMPTS', cell: ({ attempts }: ParkedQueue) => attempts, align: 'right' as const },
  { head: 'WHY', cell: whyParked, grows: true as const },
]
