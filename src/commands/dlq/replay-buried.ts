import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import { typeText } from '../../core/visible.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createProgress } from '../../output/progress.ts'
import type { BuriedMessage, Published } from '../../transports/transport.ts'
import { askConsent } from '../line/consent.ts'
import { type SelectionOptions, withheldOf } from '../line/dead-letters.ts'
import type { Runtime } from '../runtime.ts'
import { type Buried, exists, matchingBuried, withBuried } from './buried.ts'
import { gravesOf } from './returned.ts'
import type { Row } from './rows.ts'
import { watchOutcome } from './watch-outcome.ts'

export interface ReplayOptions extends SelectionOptions {
  readonly limit?: number | undefined
  readonly rate?: number | undefined
  readonly to?: string | undefined
  /** Milliseconds. */
  readonly settle: number
  readonly yes: boolean
  readonly dryRun: boolean
  readonly reason?: string | undefined
  readonly maxAffected?: number | undefined
}

const batchSize = 100

/** Dead letters of a broker, published again. */
export function replayBuried(
  url: string,
  { options, typed }: { readonly options: ReplayOptions; readonly typed: ReadonlySet<string> },
  runtime: Runtime,
): Promise<Outcome | undefined> {
  return withBuried(runtime, { url, selection: options }, async (buried) => {
    const { wanted: found, origins, withheld } = await choose(buried, options)
    const empty = found.filter(({ id }) => withheld.has(id))
    const homeless =
      options.to === undefined
        ? found.filter(({ id }) => origins.get(id)?.topic === undefined && !withheld.has(id))
        : []
    const wanted = found.filter((row) => !homeless.includes(row) && !empty.includes(row))
    const missing = [...(buried.selection.ids ?? [])].filter((id) => !found.some((row) => row.id === id))
    if (missing.length > 0 && options.limit === undefined) nameMissing(missing, found.length, { buried, runtime })
    if (options.to !== undefined && !(await exists(buried.transport, options.to)))
      throw new EvtError('usage', `cannot replay to ${options.to} on ${buried.shown}: it does not exist`, {
        hint: 'a misspelt topic would swallow what is replayed; make it first',
      })
    if (empty.length > 0) nameEmpty(empty, found.length - empty.length, { buried, runtime })
    if (homeless.length > 0) nameHomeless(homeless, wanted.length, { buried, runtime })
    const into = buried.letters.replaysInto
    const go = await askConsent(runtime, {
      verb: 'replay',
      count: wanted.length,
      noun: wanted.length === 1 ? 'dead letter' : 'dead letters',
      target: buried.shown,
      samples: wanted.map(sampleOf),
      consequence: `${into ? `they go to ${into}; every handler there` : 'every group of the topic'} sees them again, not only the one that failed`,
      options,
      typed,
    })
    const incomplete = missing.length + empty.length + homeless.length > 0 ? 'partial' : undefined
    if (!go) return incomplete
    return (await replay(buried, runtime, { ...options, wanted, origins })) ?? incomplete
  })
}

type Origins = ReadonlyMap<string, BuriedMessage['origin']>

/** Ids and what to say of them; bodies stay where they are. */
async function choose(buried: Buried, options: ReplayOptions) {
  const origins = new Map<string, BuriedMessage['origin']>()
  const withheld = new Set<string>()
  const wanted: Row[] = []
  const letters = {
    ...buried.letters,
    async *list(topic: string, signal: AbortSignal) {
      for await (const batch of buried.letters.list(topic, signal)) {
        for (const { id, origin, message } of batch) {
          origins.set(id, origin)
          if (withheldOf(message) !== undefined) withheld.add(id)
        }
        yield batch
      }
    },
  }
  for await (const row of matchingBuried({ ...buried, letters }, options.limit).rows) wanted.push(row)
  return { wanted, origins: origins as Origins, withheld }
}

const namedAtMost = 10

function nameMissing(
  missing: readonly string[],
  found: number,
  { buried, runtime }: { readonly buried: Buried; readonly runtime: Runtime },
): void {
  const more = missing.length > namedAtMost ? ` and ${formatCount(missing.length - namedAtMost)} more` : ''
  const which = `${missing.slice(0, namedAtMost).join(', ')}${more}`
  const hint = 'see `evt dlq list --flat --source …`; it may have been replayed before'
  const why = `not in ${buried.topic} on ${buried.shown}, or not of this selection`
  if (found === 0) throw new EvtError('usage', `cannot replay ${which}: ${why}`, { hint })
  runtime.output.warn(`left out ${which}: ${why}`, hint)
}

interface In {
  readonly buried: Buried
  readonly runtime: Runtime
}

const someOf = (rows: readonly Row[]) => {
  const more = rows.length > namedAtMost ? ` and ${formatCount(rows.length - namedAtMost)} more` : ''
  const ids = rows.slice(0, namedAtMost).map(({ id }) => id)
  return `${ids.join(', ')}${more}`
}

/** Publishers gave them up without their data: there is nothing to publish. */
function nameEmpty(empty: readonly Row[], others: number, { buried, runtime }: In): void {
  const why = `the data was not kept when ${empty.length === 1 ? 'it was' : 'they were'} given up`
  const hint = `\`evt dlq show ID --source …\` says why; publish ${empty.length === 1 ? 'it' : 'them'} again`
  if (others === 0)
    throw new EvtError('refused', `cannot replay ${someOf(empty)} of ${buried.topic} on ${buried.shown}: ${why}`, {
      hint,
    })
  runtime.output.warn(`left out ${someOf(empty)}: ${why}`, hint)
}

/** They stay where they are. */
function nameHomeless(homeless: readonly Row[], others: number, { buried, runtime }: In): void {
  const which = someOf(homeless)
  const why = `${homeless.length === 1 ? 'it does' : 'they do'} not say which topic of ${buried.shown} ${homeless.length === 1 ? 'it' : 'they'} came from`
  const hint = `send ${homeless.length === 1 ? 'it' : 'them'} to one topic with --ids ${homeless[0]?.id}${homeless.length === 1 ? '' : ',…'} --to TOPIC`
  if (others === 0) throw new EvtError('usage', `cannot replay ${which}: ${why}`, { hint })
  runtime.output.warn(`left out ${which}: ${why}`, hint)
}

const sampleOf = ({ id, handler, type, subject, error }: Row) =>
  `${id}  ${handler}  ${typeText(type)}${subject ? ` ${subject}` : ''}  ${error}`

interface Order extends ReplayOptions {
  readonly wanted: readonly Row[]
  readonly origins: Origins
}

async function replay(buried: Buried, runtime: Runtime, order: Order): Promise<Outcome | undefined> {
  const { output, now, signal } = runtime
  const replayId = randomUUID()
  const before = await gravesOf(buried, { ...order, rows: order.wanted })
  const progress = createProgress({
    stderr: runtime.terminal.stderr,
    verb: 'replayed',
    total: order.wanted.length,
    now,
  })
  const results = await publishAgain(buried, { ...order, replayId, signal, onDone: progress.update })
  progress.end()
  const replayed = order.wanted.filter(({ id }) => isConfirmed(results.get(id)))
  const failed = order.wanted.filter(({ id }) => results.has(id) && !isConfirmed(results.get(id)))
  const left = order.wanted.length - results.size
  const seen = await watchOutcome(buried, { ...order, replayed, before, signal })
  for (const { id } of failed.slice(0, 3)) {
    const result = results.get(id)
    if (result && 'error' in result) output.warn(result.error.message, result.error.hint)
  }
  const pending = replayed.length - seen.settled - seen.deadAgain
  const data = {
    asked: order.wanted.length,
    replayId,
    replayed: replayed.length,
    settled: seen.settled,
    deadAgain: seen.deadAgain,
    unknown: pending,
    refused: failed.length,
    left,
    groups: seen.groups,
  }
  const passes = failed.length === 0 && left === 0 && seen.deadAgain === 0 && pending === 0
  output.result({
    status: passes ? 'pass' : 'fail',
    data,
    meta: { source: buried.shown },
    render: () => verdictLine(data),
  })
  if (left > 0) output.notice('what was not replayed still lies there: the same command goes on with it')
  if (pending > 0)
    output.warn(
      `outcome unknown: ${seen.why}`,
      buried.letters.replaysInto
        ? 'what fails again lies in the store: `evt dlq list`'
        : 'watch the dead letters with `evt dlq list --source …`',
    )
  if (signal.aborted) return 'interrupted'
  if (seen.deadAgain > 0) return 'failed'
  return passes ? undefined : 'partial'
}

const isConfirmed = (result: Published | undefined) => result?.state === 'stored' || result?.state === 'duplicate'

interface Publishing extends Order {
  readonly replayId: string
  readonly signal: AbortSignal
  onDone(count: number): void
}

/** In batches at the asked rate; ends between two batches. */
async function publishAgain(buried: Buried, order: Publishing): Promise<ReadonlyMap<string, Published>> {
  const { wanted, rate, to, replayId, signal } = order
  const results = new Map<string, Published>()
  const size = Math.min(batchSize, Math.max(1, Math.floor((rate ?? Number.POSITIVE_INFINITY) / 4)))
  const startedMs = performance.now()
  for (let at = 0; at < wanted.length && !signal.aborted; at += size) {
    const waitMs = rate ? startedMs + (at * 1000) / rate - performance.now() : 0
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    const ids = wanted.slice(at, at + size).map(({ id }) => id)
    const options = { ...(to === undefined ? {} : { to }), headers: { 'ce-replayid': replayId }, signal }
    const answers = await buried.letters.replay(buried.topic, ids, options)
    answers.forEach((answer, i) => {
      results.set(ids[i] ?? '', answer)
    })
    order.onDone(results.size)
  }
  return results
}

interface Verdict {
  readonly replayed: number
  readonly settled: number
  readonly deadAgain: number
  readonly unknown: number
  readonly refused: number
  readonly left: number
  readonly groups: readonly string[]
}

/** `replayed 12 · settled 10 (billing) · dead again 2`. */
function verdictLine({ replayed, settled, deadAgain, unknown, refused, left, groups }: Verdict): string {
  const by = groups.length > 0 ? ` (${groups.join(', ')})` : ''
  const parts = [
    `replayed ${formatCount(replayed)}`,
    `settled ${formatCount(settled)}${by}`,
    `dead again ${formatCount(deadAgain)}`,
  ]
  if (unknown > 0) parts.push(`unknown ${formatCount(unknown)}`)
  if (refused > 0) parts.push(`refused ${formatCount(refused)}`)
  if (left > 0) parts.push(`left ${formatCount(left)}`)
  return parts.join(' · ')
}
