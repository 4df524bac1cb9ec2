import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { Replay } from '../../store/replays.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, limitOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const usual = 20

export default defineCommand({
  name: 'replay list',
  section: 'repair',
  summary: 'replays of history: how far each is, and who runs it',
  examples: [{ line: 'evt replay list', says: 'one that nobody runs goes on with `evt replay resume`' }],
  args: {},
  options: { ...limitOptions, ...storeOptions, ...formatOptions },
  async run({ options }, runtime) {
    return withStore(runtime, { command: 'replay list', max: 1 }, async (store) => {
      const { listReplays, replayProgress } = await import('../../store/replays.ts')
      const replays: Listed[] = []
      for (const replay of await listReplays(store, options.limit ?? usual)) {
        const handlers =
          replay.kind === 'handlers' && !replay.endedAt ? await replayProgress(store, replay, { counted: false }) : []
        const position = handlers.reduce((least, one) => (one.position < least ? one.position : least), replay.upto)
        replays.push({ ...replay, position: handlers.length > 0 ? position : replay.position })
      }
      runtime.output.result({
        data: { replays: replays.map(dataOf) },
        meta: { store: store.url },
        render: () =>
          replays.length === 0 ? 'nothing was replayed yet' : renderTable(replays, columns, runtime.output),
      })
      return undefined
    })
  },
})

type Listed = Replay

const dataOf = ({
  id,
  kind,
  handlers,
  target,
  status,
  matched,
  done,
  owner,
  by,
  reason,
  startedAt,
  endedAt,
  ...rest
}: Listed) => ({
  id,
  kind,
  to: target ?? handlers,
  status,
  matched,
  done,
  after: String(rest.after),
  upto: String(rest.upto),
  position: String(rest.position),
  owner: owner ?? null,
  by,
  reason: reason ?? null,
  startedAt,
  endedAt: endedAt ?? null,
})

/** Of the log's part that it goes through. */
function passedOf({ after, upto, position, status }: Listed): string {
  if (status === 'done' || upto <= after) return '100%'
  return `${Math.floor((Number(position - after) * 100) / Number(upto - after))}%`
}

const columns = [
  { head: 'ID', cell: ({ id }: Listed) => id },
  { head: 'STATUS', cell: ({ status, owner }: Listed) => (status === 'running' && !owner ? 'left' : status) },
  { head: 'PASSED', cell: passedOf, align: 'right' as const },
  { head: 'EVENTS', cell: ({ matched }: Listed) => formatCount(matched), align: 'right' as const },
  { head: 'TO', cell: ({ target, handlers }: Listed) => target ?? handlers.join(' '), grows: true as const },
  { head: 'STARTED', cell: ({ startedAt }: Listed) => startedAt.slice(0, 19) },
  { head: 'BY', cell: ({ by }: Listed) => by },
  { head: 'RUN BY', cell: ({ owner }: Listed) => owner },
]
