import { formatDuration } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { ReaderState } from '../../store/decommission.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { retentionOf } from '../line/retention.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'groups list',
  section: 'watch',
  summary: 'who reads this store: groups, handlers and sinks, how far each is, and who runs it',
  description:
    'HOLDS counts the partitions that are past their age and stay because this one has not passed their events.',
  examples: [
    { line: 'evt groups list', says: 'the one that nobody runs is what retention waits for' },
    { line: 'evt groups list --json', says: 'for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'groups list', max: 1 }, async (store) => {
      const { listReaders, needOf } = await import('../../store/decommission.ts')
      const { readRetention } = await import('../../store/retention-report.ts')
      const { due } = await readRetention(store, retentionOf(runtime).days)
      const readers = (await listReaders(store)).map((reader) => ({
        ...reader,
        holds: due.filter(({ needs }) => needs.some((who) => needOf(reader).includes(who))).map(({ table }) => table),
      }))
      runtime.output.result({
        data: { readers },
        meta: { store: store.url },
        render: () =>
          readers.length === 0 ? 'nobody reads this store yet' : renderTable(readers, columns, runtime.output),
      })
      return undefined
    })
  },
})

/** With the partitions that are past their age and stay for it. */
type Listed = ReaderState & { readonly holds: readonly string[] }

const whole = (ms: number) => formatDuration(Math.round(ms / 1000) * 1000)
const columns = [
  { head: 'NAME', cell: ({ name }: ReaderState) => name },
  { head: 'KIND', cell: ({ kind }: ReaderState) => kind },
  { head: 'POSITION', cell: ({ position }: ReaderState) => position ?? undefined, align: 'right' as const },
  { head: 'LAG', cell: ({ lagEvents }: ReaderState) => formatCount(lagEvents), align: 'right' as const },
  {
    head: 'OLDEST',
    cell: ({ oldestAgeMs: ms }: ReaderState) => (ms === null ? undefined : whole(ms)),
    align: 'right' as const,
  },
  { head: 'RETRYING', cell: ({ retrying }: ReaderState) => retrying, align: 'right' as const },
  { head: 'DEAD', cell: ({ openDeadLetters }: ReaderState) => openDeadLetters, align: 'right' as const },
  { head: 'HOLDS', cell: ({ holds }: Listed) => holds.length, align: 'right' as const },
  { head: 'RUN BY', cell: ({ members }: ReaderState) => members.join(' ') || 'nobody', grows: true as const },
  { head: 'LAST SEEN', cell: ({ lastSeen }: ReaderState) => lastSeen?.slice(0, 19) },
]
