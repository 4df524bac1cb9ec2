import { formatAge } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { typeText } from '../../core/visible.ts'
import { scanLine } from '../../output/ending.ts'
import type { Output } from '../../output/output.ts'
import { type Column, renderTable } from '../../output/table.ts'
import type { Cause, DeadLetter } from '../../store/dead-letters.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { defineCommand, flag } from '../command.ts'
import { deadLetterOptions, matchingDeadLetters, selectionOf } from '../line/dead-letters.ts'
import { formatOptions, limitOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'dlq list',
  section: 'repair',
  summary: 'dead letters, grouped by cause',
  description:
    'One row for each handler, type and error fingerprint. Reading changes nothing. ↩ counts those that came back from a replay.',
  examples: [
    { line: 'evt dlq list', says: 'what fails, most frequent first', needs: 'dead-letter' },
    { line: 'evt dlq list --flat --where \'type ~ "^user"\' --limit 20', says: 'single ones', needs: 'dead-letter' },
    { line: 'evt dlq list --json', says: 'for a script', needs: 'dead-letter' },
  ],
  args: {},
  options: {
    flat: flag({ says: 'one row for each dead letter' }),
    ...deadLetterOptions,
    ...limitOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options }, runtime) {
    const selection = await selectionOf(options, runtime)
    return withStore(runtime, { command: 'dlq list', max: 2 }, async (store) => {
      const nowMs = runtime.now()
      if (options.flat) {
        const { letters, scan } = await flat(store, selection, options)
        const data = letters.map(rowOf)
        const render = () =>
          data.length === 0 ? noneOf(options) : renderTable(data, flatColumns(nowMs), runtime.output)
        runtime.output.result({ data: { letters: data }, meta: { ...scan }, render })
        runtime.output.notice(scanLine(scan))
        return undefined
      }
      const causes = await grouped(store, selection, options)
      const shown = causes.slice(0, options.limit ?? defaultLimit)
      const total = causes.reduce((sum, { count }) => sum + count, 0)
      const meta = { causes: causes.length, deadLetters: total, shown: shown.length }
      const render = () => (total === 0 ? noneOf(options) : renderCauses(shown, nowMs, runtime.output))
      runtime.output.result({ data: { causes: shown }, meta, render })
      if (total === 0) return undefined
      runtime.output.notice(
        `${formatCount(total)} dead letters of ${formatCount(causes.length)} causes · shown ${shown.length}`,
      )
      return undefined
    })
  },
})

const defaultLimit = 100
type Selection = Awaited<ReturnType<typeof selectionOf>>
type Options = Parameters<typeof selectionOf>[0] & { readonly limit?: number | undefined }

async function flat(sql: SqlExecutor, selection: Selection, { where, limit = defaultLimit }: Options) {
  const { letters, seen } = matchingDeadLetters(sql, selection, { where, limit })
  const found: DeadLetter[] = []
  for await (const letter of letters) found.push(letter)
  return { letters: found, scan: { ...seen, stopped: seen.matched >= limit ? '--limit' : 'end' } }
}

/** By the store where it can; `--where` is decided here, on every one of them. */
async function grouped(sql: SqlExecutor, selection: Selection, { where }: Options): Promise<Cause[]> {
  const { listCauses } = await import('../../store/dead-letters.ts')
  if (!where) return listCauses(sql, selection)
  const groups = new Map<string, Cause>()
  for await (const letter of matchingDeadLetters(sql, selection, { where }).letters) {
    const key = `${letter.cause}\n${letter.handler}\n${letter.type}`
    groups.set(key, merged(groups.get(key), letter))
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

function merged(group: Cause | undefined, letter: DeadLetter): Cause {
  const { cause, handler, type, reason, firstFailedAt, lastFailedAt, id } = letter
  const newest = !group || lastFailedAt >= group.lastAt
  return {
    cause,
    handler,
    type,
    reason,
    error: newest ? errorOf(letter) : group.error,
    count: (group?.count ?? 0) + 1,
    attempts: (group?.attempts ?? 0) + letter.attempts.length,
    returned: (group?.returned ?? 0) + (letter.returned > 0 ? 1 : 0),
    firstAt: group && group.firstAt < firstFailedAt ? group.firstAt : firstFailedAt,
    lastAt: newest ? lastFailedAt : group.lastAt,
    sampleId: newest ? id : group.sampleId,
  }
}

const noneOf = ({ cause, ids, where }: Options) =>
  cause || ids || where ? 'no dead letter matches\n' : 'no dead letters\n'
const errorOf = ({ error }: DeadLetter) => `${error.class}: ${error.message}`
const ago = (at: string, nowMs: number) =>
  `${formatAge(Math.round(Math.max(0, nowMs - Date.parse(at)) / 1000) * 1000)} ago`

function renderCauses(causes: readonly Cause[], nowMs: number, output: Output): string {
  const columns: Column<Cause>[] = [
    { head: 'CAUSE', cell: ({ cause }) => cause.slice(0, 8) },
    { head: 'COUNT', cell: ({ count }) => formatCount(count), align: 'right' },
    { head: '↩', cell: ({ returned }) => formatCount(returned), align: 'right', expendable: 3 },
    { head: 'HANDLER', cell: ({ handler }) => handler },
    { head: 'TYPE', cell: ({ type }) => typeText(type), expendable: 5 },
    { head: 'ERROR', cell: ({ error }) => error, grows: true },
    { head: 'FIRST', cell: ({ firstAt }) => ago(firstAt, nowMs), expendable: 2 },
    { head: 'LAST', cell: ({ lastAt }) => ago(lastAt, nowMs), expendable: 4 },
    { head: 'ATTEMPTS', cell: ({ attempts }) => formatCount(attempts), align: 'right', expendable: 1 },
    { head: 'SAMPLE', cell: ({ sampleId }) => sampleId, align: 'right' },
  ]
  return renderTable(causes, columns, output)
}

const rowOf = (letter: DeadLetter) => ({
  id: letter.id,
  eventId: letter.eventId,
  handler: letter.handler,
  type: letter.type,
  subject: letter.subject ?? null,
  cause: letter.cause,
  reason: letter.reason,
  error: errorOf(letter),
  attempts: letter.attempts.length,
  returned: letter.returned,
  firstFailedAt: letter.firstFailedAt,
  lastFailedAt: letter.lastFailedAt,
})
type Row = ReturnType<typeof rowOf>

const flatColumns = (nowMs: number): Column<Row>[] => [
  { head: 'ID', cell: ({ id }) => id, align: 'right' },
  { head: 'CAUSE', cell: ({ cause }) => cause.slice(0, 8), expendable: 4 },
  { head: 'HANDLER', cell: ({ handler }) => handler },
  { head: 'TYPE', cell: ({ type }) => typeText(type), expendable: 6 },
  { head: 'SUBJECT', cell: ({ subject }) => subject, expendable: 3 },
  { head: 'ERROR', cell: ({ error }) => error, grows: true },
  { head: 'ATTEMPTS', cell: ({ attempts }) => attempts, align: 'right', expendable: 1 },
  { head: '↩', cell: ({ returned }) => returned, align: 'right', expendable: 2 },
  { head: 'LAST', cell: ({ lastFailedAt }) => ago(lastFailedAt, nowMs), expendable: 5 },
]
