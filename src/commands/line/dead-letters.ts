import { fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { Where } from '../../core/where.ts'
import type { DeadLetter, DeadLetterSelection } from '../../store/dead-letters.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { flag, text, value } from '../command.ts'
import type { Runtime } from '../runtime.ts'
import { readLines } from './input.ts'
import { whereOptions } from './where.ts'

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
  if (all && (cause || ids || where)) {
    throw new EvtError('usage', 'cannot select --all together with --cause, --ids or --where: which is it?')
  }
  return { ...(cause ? { cause } : {}), ...(ids ? { ids: await idsOf(ids, stdin) } : {}) }
}

async function idsOf(given: string, stdin: Runtime['stdin']): Promise<string[]> {
  const ids: string[] = []
  if (given !== '-') ids.push(...given.split(/[\s,]+/).filter(Boolean))
  else for await (const { text: line } of readLines(stdin)) ids.push(...line.split(/[\s,]+/).filter(Boolean))
  const odd = ids.find((id) => !/^\d{1,18}$/.test(id))
  if (odd !== undefined)
    throw new EvtError('usage', `cannot use id ${odd}: it is no number`, { hint: 'ids stand in `evt dlq list --flat`' })
  return ids
}

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

/** The event in a dead letter, as far as it can be read. */
export function eventOf(letter: DeadLetter): Partial<EvtEvent> {
  try {
    return fromHeaders(letter.headers, letter.body)
  } catch {
    return { id: letter.eventId, type: letter.type, ...(letter.subject ? { subject: letter.subject } : {}) }
  }
}

/** What a `--where` sees: the event, and `evt.handler`, `evt.cause`, `evt.error`, `evt.attempts`. */
function subjectOf(letter: DeadLetter): object {
  const { handler, cause, error, reason, attempts, returned } = letter
  const evt = { handler, cause, error: `${error.class}: ${error.message}`, reason, attempts: attempts.length, returned }
  return { ...eventOf(letter), evt }
}
