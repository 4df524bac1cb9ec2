import { formatCount } from '../../core/quantity.ts'
import { scanLine } from '../../output/ending.ts'
import type { DeadLetter } from '../../store/dead-letters.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { defineCommand, flag } from '../command.ts'
import { deadLetterOptions, deadLetterSource, matchingDeadLetters, selectionOf } from '../line/dead-letters.ts'
import { consentOptions, dryRunOptions, formatOptions, limitOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { matchingBuried, withBuried } from './buried.ts'
import { type ParkOptions, parked } from './park.ts'
import { type CauseRow, groupRows, type Row, renderCauses, renderRows, rowOf } from './rows.ts'

export default defineCommand({
  name: 'dlq list',
  section: 'repair',
  summary: 'dead letters, grouped by cause',
  description: [
    'One row for each handler, type and error fingerprint. Changes nothing, but with --move-beside. ↩ counts those that came back from a replay.',
    'With --source it lists a dead-letter topic of a broker (HANDLER is then the consumer group), in the shapes that evt, Spring',
    'and RabbitMQ give them, or a table shaped like event_store.dead_letter_queue (?table=).',
  ].join('\n'),
  examples: [
    { line: 'evt dlq list', says: 'what fails, most frequent first', needs: 'dead-letter' },
    { line: 'evt dlq list --flat --where \'type ~ "^user"\' --limit 20', says: 'single ones', needs: 'dead-letter' },
    { line: 'evt dlq list --json', says: 'for a script', needs: 'dead-letter' },
    { line: "evt dlq list -s 'redis://localhost/0?stream=orders:dlq'", says: 'a dead-letter stream', needs: 'redis' },
  ],
  args: {},
  options: {
    flat: flag({ says: 'one row for each dead letter' }),
    moveBeside: flag({
      says: 'where a look would shorten them (RabbitMQ quorum queues below 4.3), first move them to a queue beside it',
    }),
    ...dryRunOptions,
    ...consentOptions,
    ...deadLetterSource,
    ...deadLetterOptions,
    ...limitOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    const shown = await (options.source
      ? listBuried(options.source, { ...options, typed }, runtime)
      : listStored(options, runtime))
    if (shown === undefined) return undefined
    if ('rows' in shown) showRows(shown, options, runtime)
    else showCauses(shown.causes, options, runtime)
    return undefined
  },
})

const defaultLimit = 100
type Options = Parameters<typeof selectionOf>[0] & { readonly limit?: number | undefined; readonly flat: boolean }
type Scanned = Readonly<{ scanned: number; matched: number; stopped: string }>
type Listed = { readonly rows: readonly Row[]; readonly scan: Scanned } | { readonly causes: readonly CauseRow[] }

async function listStored(options: Options, runtime: Runtime): Promise<Listed> {
  const selection = await selectionOf(options, runtime)
  return withStore(runtime, { command: 'dlq list', max: 2 }, async (store): Promise<Listed> => {
    if (options.flat) return flat(store, selection, options)
    return { causes: await grouped(store, selection, options) }
  })
}

function listBuried(url: string, options: Options & ParkOptions, runtime: Runtime): Promise<Listed | undefined> {
  return withBuried(runtime, { url, selection: options }, async (given): Promise<Listed | undefined> => {
    const buried = await parked(given, options, runtime)
    if (buried === undefined) return undefined
    const { rows, seen } = matchingBuried(buried, options.flat ? (options.limit ?? defaultLimit) : undefined)
    if (!options.flat) return { causes: await groupRows(rows) }
    const found: Row[] = []
    for await (const row of rows) found.push(row)
    return { rows: found, scan: { ...seen, stopped: seen.stoppedEarly ? '--limit' : 'end' } }
  })
}

type Selection = Awaited<ReturnType<typeof selectionOf>>

async function flat(sql: SqlExecutor, selection: Selection, { where, limit = defaultLimit }: Options): Promise<Listed> {
  const { letters, seen } = matchingDeadLetters(sql, selection, { where, limit })
  const rows: Row[] = []
  for await (const letter of letters) rows.push(rowOf(letter))
  return { rows, scan: { ...seen, stopped: seen.matched >= limit ? '--limit' : 'end' } }
}

/** By the store where it can; `--where` is decided here, on every one of them. */
async function grouped(sql: SqlExecutor, selection: Selection, { where }: Options): Promise<readonly CauseRow[]> {
  const { listCauses } = await import('../../store/dead-letters.ts')
  if (!where) return listCauses(sql, selection)
  return groupRows(rowsOf(matchingDeadLetters(sql, selection, { where }).letters))
}

async function* rowsOf(letters: AsyncIterable<DeadLetter>): AsyncGenerator<Row> {
  for await (const letter of letters) yield rowOf(letter)
}

const noneOf = ({ cause, ids, where }: Options) =>
  cause || ids || where ? 'no dead letter matches\n' : 'no dead letters\n'

function showRows(
  { rows, scan }: Extract<Listed, { rows: unknown }>,
  options: Options,
  { output, now }: Runtime,
): void {
  const render = () => (rows.length === 0 ? noneOf(options) : renderRows(rows, now(), output))
  output.result({ data: { letters: rows }, meta: { ...scan }, render })
  output.notice(scanLine(scan))
}

function showCauses(causes: readonly CauseRow[], options: Options, { output, now }: Runtime): void {
  const shown = causes.slice(0, options.limit ?? defaultLimit)
  const total = causes.reduce((sum, { count }) => sum + count, 0)
  const meta = { causes: causes.length, deadLetters: total, shown: shown.length }
  const render = () => (total === 0 ? noneOf(options) : renderCauses(shown, now(), output))
  output.result({ data: { causes: shown }, meta, render })
  if (total === 0) return
  const letters = total === 1 ? '1 dead letter' : `${formatCount(total)} dead letters`
  const ofCauses = causes.length === 1 ? '1 cause' : `${formatCount(causes.length)} causes`
  output.notice(`${letters} of ${ofCauses} · shown ${shown.length}`)
}
