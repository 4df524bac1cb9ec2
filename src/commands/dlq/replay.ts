import { randomUUID } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import { closest } from '../../core/suggest.ts'
import { typeText } from '../../core/visible.ts'
import type { Where } from '../../core/where.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createProgress } from '../../output/progress.ts'
import type { Store } from '../../store/connection.ts'
import type { DeadLetter, DeadLetterSelection } from '../../store/dead-letters.ts'
import { defineCommand, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import {
  deadLetterOptions,
  deadLetterSource,
  leaveOutIds,
  matchingDeadLetters,
  selectionOf,
  withheldOf,
} from '../line/dead-letters.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import {
  consentOptions,
  count,
  dryRunOptions,
  duration,
  formatOptions,
  limitOptions,
  rate,
  storeOptions,
} from '../line/options.ts'
import type { Redriven } from '../line/redrive.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { replayBuried } from './replay-buried.ts'

export default defineCommand({
  name: 'dlq replay',
  section: 'repair',
  summary: 'give dead letters to their handlers again, and say what became of them',
  description: [
    'Each goes to the handler that failed and to no other, with its own id and attempts anew. The last line is what the',
    'handlers did with them: exit 1 when some are dead again, or when none of what --ids or --cause names can be replayed;',
    'exit 5 when the outcome of some cannot be known because no bridge has their handler, or because it is paused or its breaker is',
    'open for --settle, or when an id that was asked for does not exist. A letter that dies again opens no breaker. What a',
    'publisher gave up (publisher:NAME) is published by a bridge, if its contract takes it now; not what was kept without data.',
    'With --source they are published again to the topic that they came from (or --to), and every group of it sees them; each',
    'leaves the dead letters only when the broker has confirmed it. Then the dead letters and the groups are watched for --settle.',
  ].join('\n'),
  examples: [
    { line: 'evt dlq replay --dry-run', says: 'what would be replayed', needs: 'dead-letter' },
    {
      line: 'evt dlq replay --where \'type == "user.created"\' --limit 5 --yes',
      says: 'five of them',
      needs: 'dead-letter',
      exit: 5,
    },
  ],
  args: {},
  options: {
    ...deadLetterSource,
    to: value({
      value: 'topic',
      says: 'with --source: publish there',
      parse: text,
      shownDefault: 'where each came from',
    }),
    settle: value({
      value: 'time',
      says: 'how long to wait for a handler that stands still; with --source: how long to watch what becomes of them',
      parse: duration,
      default: 10_000,
      shownDefault: '10s',
    }),
    ...deadLetterOptions,
    ...limitOptions,
    rate: value({ value: 'per-second', says: 'not faster than this', parse: rate }),
    maxReplays: value({
      value: 'count',
      says: 'leave out what was replayed this often before',
      parse: count,
      default: 3,
    }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    if (options.source !== undefined) return replayBuried(options.source, { options, typed }, runtime)
    refuseForStore(options)
    const selection = await selectionOf(options, runtime)
    return withStore(runtime, { command: 'dlq replay', max: 3 }, async (store) => {
      const unknownIds = await leaveOutIds(store, selection.ids ?? [], runtime)
      await refuseUnknownCause(store, selection)
      const { wanted, wornOut, withheld } = await eligible(store, selection, options)
      noteLeft({ wornOut, withheld }, runtime)
      if (wanted.length === 0 && isNamed(selection) && !options.dryRun)
        return await nothingOfIt(store, selection, { ...options, left: wornOut + withheld }, runtime)
      const go = await askConsent(runtime, {
        verb: 'replay',
        count: wanted.length,
        noun: wanted.length === 1 ? 'dead letter' : 'dead letters',
        target: store.url,
        samples: wanted.map(sampleOf),
        options,
        typed,
      })
      const incomplete = unknownIds.length > 0 ? 'partial' : undefined
      if (!go) return incomplete
      const ids = wanted.map(({ id }) => id)
      return (await replay(store, runtime, { ...options, ids, handlers: handlersOf(wanted), unknownIds })) ?? incomplete
    })
  },
})

function refuseForStore({ to }: { readonly to?: string | undefined }): void {
  if (to === undefined) return
  const why = 'a dead letter of the store goes to the handler that failed'
  throw new EvtError('usage', `cannot use --to without --source: ${why}`, {
    hint: 'leave --to out, or name the dead-letter topic with --source',
  })
}

interface Bounds {
  readonly where?: Where | undefined
  readonly limit?: number | undefined
  readonly maxReplays: number
}

/** The first `limit` that may be replayed, and how many were passed over on the way. */
async function eligible(
  store: Store,
  selection: DeadLetterSelection,
  { where, limit = Number.POSITIVE_INFINITY, maxReplays }: Bounds,
): Promise<Left & { readonly wanted: readonly DeadLetter[] }> {
  const wanted: DeadLetter[] = []
  let wornOut = 0
  let withheld = 0
  for await (const letter of matchingDeadLetters(store, selection, { where }).letters) {
    if (withheldOf(letter) !== undefined) withheld++
    else if (letter.replayCount >= maxReplays) wornOut++
    else if (wanted.push(slim(letter)) >= limit) break
  }
  return { wanted, wornOut, withheld }
}

const isNamed = ({ ids, cause }: DeadLetterSelection) => ids !== undefined || cause !== undefined
const causesNamed = 3

/** A mistyped cause is a mistake, not an empty selection. */
async function refuseUnknownCause(store: Store, { cause }: DeadLetterSelection): Promise<void> {
  if (cause === undefined) return
  const { listCauses } = await import('../../store/dead-letters.ts')
  if ((await listCauses(store, { cause, status: 'any' })).length > 0) return
  const open = [...new Set((await listCauses(store)).map((one) => one.cause))]
  // What was typed is the beginning of one: compared with as much of each.
  const near = open.find((one) => closest(cause, [one.slice(0, cause.length)]) !== undefined)
  const known = open.length > 0 ? `causes: ${open.slice(0, causesNamed).join(', ')}; ` : ''
  throw new EvtError('usage', `cannot replay cause ${cause}: no dead letter on ${store.url} has it`, {
    hint: near ? `did you mean ${near}?` : `${known}see \`evt dlq list\``,
  })
}

/** What was asked for by name and cannot be had is a failure, and says why. */
async function nothingOfIt(
  store: Store,
  { ids, cause }: DeadLetterSelection,
  { where, left }: { readonly where?: Where | undefined; readonly left: number },
  { output }: Runtime,
): Promise<Outcome> {
  if (left === 0 && cause !== undefined) {
    const { listCauses } = await import('../../store/dead-letters.ts')
    const anyOpen = (await listCauses(store, { cause })).length > 0
    const narrowed = [ids && '--ids', where && '--where'].filter(Boolean).join(' and ')
    output.warn(
      anyOpen
        ? `no open dead letter of cause ${cause} matches ${narrowed}`
        : `no dead letter of cause ${cause} is open`,
    )
  } else if (left === 0 && where) output.warn('no open one of these ids matches --where')
  output.result({
    status: 'fail',
    data: { plan: { verb: 'replay', noun: 'dead letters', count: 0, target: store.url, samples: [] } },
    meta: { dryRun: false },
    render: () => `nothing to replay on ${store.url}`,
  })
  return 'failed'
}

/** Thousands of bodies need not stay in memory. */
const slim = (letter: DeadLetter): DeadLetter => ({ ...letter, body: new Uint8Array(), attempts: [] })
const handlersOf = (letters: readonly DeadLetter[]) => [...new Set(letters.map(({ handler }) => handler))]
const sampleOf = ({ id, handler, type, subject, error }: DeadLetter) =>
  `${id}  ${handler}  ${typeText(type)}${subject ? ` ${subject}` : ''}  ${error.class}: ${error.message}`

interface Left {
  readonly wornOut: number
  /** Given up without their data. */
  readonly withheld: number
}

function noteLeft({ wornOut, withheld }: Left, { output }: Runtime): void {
  if (wornOut > 0)
    output.warn(
      `left out ${formatCount(wornOut)} that were replayed too often`,
      'mend the cause first, or raise --max-replays',
    )
  if (withheld > 0)
    output.warn(
      `left out ${formatCount(withheld)} whose data was not kept`,
      '`evt dlq show ID` says why; publish them again',
    )
}

interface Order {
  readonly ids: readonly string[]
  readonly handlers: readonly string[]
  readonly rate?: number | undefined
  readonly reason?: string | undefined
  readonly settle: number
  readonly maxReplays: number
  /** Asked for and not there. */
  readonly unknownIds: readonly string[]
}

async function replay(store: Store, runtime: Runtime, order: Order): Promise<Outcome | undefined> {
  const { redrive } = await import('../line/redrive.ts')
  const { output, now, signal } = runtime
  const progress = createProgress({ stderr: runtime.terminal.stderr, verb: 'settled', total: order.ids.length, now })
  const { reason, handlers, maxReplays, unknownIds } = order
  const replayId = randomUUID()
  const { result, standing } = await redrive(store, {
    ...order,
    patienceMs: order.settle,
    replayId,
    by: operatorName(),
    audit: await auditAs('dlq replay', { target: handlers.join(' '), reason, details: { replayId, maxReplays } }),
    signal,
    onSettled: progress.update,
    onStanding: ({ why, remedy }) => output.warn(`waiting: ${why}`, remedy),
  })
  progress.end()
  const verdict = verdictOf(result, signal)
  const named = await causesOf(store, result.deadAgain)
  output.result({
    status: verdict === 'handled' && unknownIds.length === 0 ? 'pass' : 'fail',
    data: { ...result, verdict, ...(unknownIds.length > 0 ? { unknownIds } : {}) },
    meta: { store: store.url },
    render: () => verdictLine(result, named),
  })
  if (verdict === 'interrupted') output.notice('what was not replayed is still open: the same command goes on with it')
  for (const { why, remedy } of standing)
    output.warn(`outcome unknown: ${why}`, `${remedy}; then \`evt dlq list\` shows what came back`)
  return outcomes[verdict]
}

const outcomes = { handled: undefined, 'dead-again': 'failed', unknown: 'partial', interrupted: 'interrupted' } as const
type Verdict = keyof typeof outcomes

/** From what the handlers did, never from having handed them over. */
function verdictOf(result: Redriven, signal: AbortSignal): Verdict {
  if (result.deadAgain.length > 0) return 'dead-again'
  if (signal.aborted) return 'interrupted'
  return result.pending > 0 || result.left > 0 ? 'unknown' : 'handled'
}

/** `TypeError in billing.invoice` for each cause of which something died again, the most frequent first. */
async function causesOf(store: Store, deadAgain: Redriven['deadAgain']): Promise<readonly string[]> {
  if (deadAgain.length === 0) return []
  const { listCauses } = await import('../../store/dead-letters.ts')
  const known = await listCauses(store)
  const names = deadAgain.map(({ cause }) => {
    const found = known.find((one) => one.cause === cause)
    return found ? `${found.error.split(':')[0]} in ${found.handler}` : cause.slice(0, 8)
  })
  return [...new Set(names)]
}

const namesShown = 3

/** `replayed 480 · handled 471 · dead again 9 (TypeError in billing.invoice) · skipped 11 (already processed)`. */
function verdictLine(
  { replayed, handled, deadAgain, skipped, pending, left }: Redriven,
  named: readonly string[],
): string {
  const dead = deadAgain.reduce((sum, { count }) => sum + count, 0)
  const more = named.length > namesShown ? ` and ${named.length - namesShown} more` : ''
  const why = named.length > 0 ? ` (${named.slice(0, namesShown).join(', ')}${more})` : ''
  const parts = [
    `replayed ${formatCount(replayed)}`,
    `handled ${formatCount(handled)}`,
    `dead again ${formatCount(dead)}${why}`,
  ]
  if (skipped > 0) parts.push(`skipped ${formatCount(skipped)} (already processed)`)
  if (pending > 0) parts.push(`unknown ${formatCount(pending)}`)
  if (left > 0) parts.push(`left ${formatCount(left)} (no longer open)`)
  return parts.join(' · ')
}
