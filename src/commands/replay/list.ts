import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { Replay } from '../../store/replays.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, limitOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'
import { standingOf } from './progress.ts'

const usual = 20

export default defineCommand({
  name: 'replay list',
  section: 'repair',
  summary: 'replays of history: how far each is, and who runs it',
  description:
    'DONE: how often a handler handled an event of it, or events that the target confirmed; EVENTS: how many there are to replay.',
  examples: [{ line: 'evt replay list', says: 'one that nobody runs goes on with `evt replay resume`' }],
  args: {},
  options: { ...limitOptions, ...storeOptions, ...formatOptions },
  async run({ options }, runtime) {
    return withStore(runtime, { command: 'replay list', max: 1 }, async (store) => {
      const { listReplays } = await import('../../store/replays.ts')
      const replays: Listed[] = []
      for (const replay of await listReplays(store, options.limit ?? usual))
        replays.push({ ...replay, ...(await standingOf(store, replay)) })
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

/** The share only where one handler or target takes each event once. */
function doneOf({ done, matched, status, handlers }: Listed): string {
  const share = status === 'done' || handlers.length > 1 || matched === 0 ? '' : ` (${percent(done, matched)}%)`
  return `${formatCount(done)}${share}`
}

const percent = (done: number, of: number): number => Math.min(100, Math.floor((done * 100) / of))

const columns = [
  { head: 'ID', cell: ({ id }: Listed) => id },
  { head: 'STATUS', cell: ({ status, owner }: Listed) => (status === 'running' && !owner ? 'left' : status) },
  { head: 'DONE', cell: doneOf, align: 'right' as const },
  { head: 'EVENTS', cell: ({ matched }: Listed) => formatCount(matched), align: 'right' as const },
  { head: 'TO', cell: ({ target, handlers }: Listed) => target ?? handlers.join(' '), grows: true as const },
  { head: 'STARTED', cell: ({ startedAt }: Listed) => startedAt.slice(0, 19) },
  { head: 'BY', cell: ({ by }: Listed) => by },
  { head: 'RUN BY', cell: ({ owner }: Listed) => owner },
]
