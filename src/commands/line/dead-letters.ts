import { withheldName } from '../../core/codec/headers.ts'
import { fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Where } from '../../core/where.ts'
import type { Store } from '../../store/connection.ts'
import type { DeadLetter, DeadLetterSelection } from '../../store/dead-letters.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { flag, text, value } from '../command.ts'
import type { Runtime } from '../runtime.ts'
import { readLines } from './input.ts'
import { whereOptions } from './where.ts'

/** Where they lie, when not in the store. */
export const deadLetterSource = {
  source: value({
    short: 's',
    value: 'url',
    says: 'where they lie, when not in the store: redis://…?stream=x:dlq, kafka://…/x-dlt, amqp://…?queue=x.dlq',
    parse: text,
  }),
} as const

/** Which dead letters, spelled the same in every `dlq` command. */
export const deadLetterOptions = {
  cause: value({ value: 'fingerprint', says: 'of this cause; its beginning is enough', parse: text }),
  ids: value({ value: 'list', says: 'these ids, separated by commas; - reads them from stdin', parse: text }),
  ...whereOptions,
  all: flag({ says: 'every open one' }),
} as const

export interface SelectionOptions {
  readonly cause?: string | undefined
  readonly ids?: string | undefined
  readonly where?: Where | undefined
  readonly all?: boolean
}

/** What the store can select by; `where` is left to `matchingDeadLetters`. Throws EvtError('usage'). */
export async function selectionOf(options: SelectionOptions, { stdin }: Runtime): Promise<DeadLetterSelection> {
  const { cause, ids, where, all } = options
  if (all && (cause !== undefined || ids !== undefined || where)) {
    throw new EvtError('usage', 'cannot select --all together with --cause, --ids or --where: which is it?')
  }
  // `--ids "$UNSET"` must not stand for every one of them.
  if (cause === '') throw new EvtError('usage', 'cannot use --cause: it is empty')
  return { ...(cause ? { cause } : {}), ...(ids === undefined ? {} : { ids: await idsOf(ids, stdin) }) }
}

async function idsOf(given: string, stdin: Runtime['stdin']): Promise<string[]> {
  const ids: string[] = []
  if (given !== '-') ids.push(...given.split(/[\s,]+/).filter(Boolean))
  else for await (const { text: line } of readLines(stdin)) ids.push(...line.split(/[\s,]+/).filter(Boolean))
  const odd = ids.find((id) => !/^\d{1,18}$/.test(id))
  const hint = 'ids stand in `evt dlq list --flat`'
  if (odd !== undefined) throw new EvtError('usage', `cannot use id ${odd}: it is no number`, { hint })
  if (ids.length === 0) throw new EvtError('usage', 'cannot use --ids: there is none in it', { hint })
  return [...new Set(ids.map((id) => String(BigInt(id))))]
}

/** Says which ids are not replayed, and returns the unknown ones. Throws EvtError('usage') when all are. */
export async function leaveOutIds(
  store: Store,
  ids: readonly string[],
  { output }: Runtime,
): Promise<readonly string[]> {
  if (ids.length === 0) return []
  const { statusesOf } = await import('../../store/dead-letters.ts')
  const statuses = await statusesOf(store, ids)
  const unknown = ids.filter((id) => !statuses.has(id))
  const hint = 'see `evt dlq list --flat`'
  const none = unknown.length === 1 ? 'there is none of this id' : 'there are none of these ids'
  if (unknown.length === ids.length) {
    const what = `${unknown.length === 1 ? 'dead letter' : 'dead letters'} ${named(unknown)}`
    throw new EvtError('usage', `cannot replay ${what}: ${none} on ${store.url}`, { hint })
  }
  if (unknown.length > 0) output.warn(`left out ${named(unknown)}: ${none} on ${store.url}`, hint)
  const settled = ids.filter((id) => statuses.has(id) && statuses.get(id) !== 'open')
  if (settled.length > 0)
    output.warn(`left out ${named(settled.map((id) => `${id} (${statuses.get(id)})`))}: only open ones are replayed`)
  return unknown
}

const idsNamed = 10

const named = (ids: readonly string[]) =>
  ids.length > idsNamed
    ? `${ids.slice(0, idsNamed).join(', ')} and ${formatCount(ids.length - idsNamed)} more`
    : ids.join(', ')

const pageSize = 500

export interface Matching {
  readonly letters: AsyncIterable<DeadLetter>
  /** Filled while `letters` is read. */
  readonly seen: { scanned: number; matched: number }
}

/** Reads dead letters page by page, those of `where` only; `limit` counts what matched. */
export function matchingDeadLetters(
  sql: SqlExecutor,
  selection: DeadLetterSelection,
  { where, limit = Number.POSITIVE_INFINITY }: { where?: Where | undefined; limit?: number | undefined },
): Matching {
  const seen = { scanned: 0, matched: 0 }
  async function* pages(): AsyncGenerator<DeadLetter> {
    const { listDeadLetters } = await import('../../store/dead-letters.ts')
    let after = '0'
    for (;;) {
      const page = await listDeadLetters(sql, selection, { limit: pageSize, after })
      for (const letter of page) {
        seen.scanned++
        if (where && !where.test(subjectOf(letter))) continue
        seen.matched++
        yield letter
        if (seen.matched >= limit) return
      }
      if (page.length < pageSize) return
      after = page.at(-1)?.id ?? after
    }
  }
  return { letters: pages(), seen }
}

/** Why there is no data in a dead letter; undefined when it was kept. */
export const withheldOf = ({ headers }: Pick<DeadLetter, 'headers'>): string | undefined => headers[withheldName]

/** The event in a dead letter, as far as it can be read: without `data` when its bytes are none, or nobody kept it. */
export function eventOf(letter: DeadLetter): Partial<EvtEvent> {
  const { headers, body, eventId, type, subject } = letter
  // Data is parsed when it is first looked at: here.
  const read = (bytes: Uint8Array | string) => ({ ...fromHeaders(headers, bytes) })
  const envelope = () => {
    const { data: _none, ...rest } = read('null')
    return rest
  }
  try {
    return withheldOf(letter) === undefined ? read(body) : envelope()
  } catch {
    try {
      return envelope()
    } catch {
      return { id: eventId, type, ...(subject ? { subject } : {}) }
    }
  }
}

/** What a `--where` sees: the event, and `evt.handler`, `evt.cause`, `evt.error`, `evt.attempts`. */
function subjectOf(letter: DeadLetter): object {
  const { handler, cause, error, reason, attempts, returned } = letter
  const evt = { handler, cause, error: `${error.class}: ${error.message}`, reason, attempts: attempts.length, returned }
  return { ...eventOf(letter), evt }
}
