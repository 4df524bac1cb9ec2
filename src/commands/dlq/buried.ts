import { decodeAny, fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { fingerprintOf } from '../../core/fingerprint.ts'
import { redactUrl } from '../../core/mask.ts'
import type { BuriedMessage, DeadLetterTopics, Transport } from '../../transports/transport.ts'
import type { SelectionOptions } from '../line/dead-letters.ts'
import { readLines } from '../line/input.ts'
import type { Runtime } from '../runtime.ts'
import type { Row } from './rows.ts'

/** The dead letters of one topic of a broker, and which of them. */
export interface Buried {
  readonly transport: Transport
  readonly letters: DeadLetterTopics
  /** The dead-letter topic. */
  readonly topic: string
  /** For messages: the URL without its password. */
  readonly shown: string
  readonly selection: Omit<SelectionOptions, 'ids'> & { readonly ids?: ReadonlySet<string> }
  readonly signal: AbortSignal
}

export interface WithBuried {
  readonly url: string
  readonly selection: SelectionOptions
}

/**
 * Opens what the URL names for `work` and closes it however that ends. Throws `usage` for a URL that names no topic, `unsupported` for
 * a transport that keeps no dead letters.
 */
export async function withBuried<T>(
  runtime: Runtime,
  { url, selection }: WithBuried,
  work: (buried: Buried) => Promise<T>,
): Promise<T> {
  const { openTransport } = await import('../../transports/registry.ts')
  const { ids: _given, ...rest } = selection
  const wanted = { ...rest, ...(await idsOf(selection, runtime)) }
  const transport = await openTransport(url)
  try {
    const shown = redactUrl(url)
    const letters = transport.deadLetters
    if (letters === undefined)
      throw new EvtError('unsupported', `cannot look for dead letters on ${shown}: ${transport.name} keeps none`, {
        hint: 'the store has its own: `evt dlq list` without --source',
      })
    const [topic, ...more] = transport.named
    if (topic === undefined || more.length > 0)
      throw new EvtError(
        'usage',
        `cannot look for dead letters on ${shown}: it names ${more.length > 0 ? 'several topics' : 'no topic'}`,
        {
          hint: 'such as redis://host?stream=orders:dlq, kafka://host/orders-dlt or amqp://host/vhost?queue=orders.dlq',
        },
      )
    return await work({ transport, letters, topic, shown, selection: wanted, signal: runtime.signal })
  } finally {
    await transport.close()
  }
}

async function idsOf({ ids }: SelectionOptions, { stdin }: Runtime): Promise<{ ids?: ReadonlySet<string> }> {
  if (ids === undefined) return {}
  const given: string[] = []
  if (ids !== '-') given.push(...ids.split(/[\s,]+/).filter(Boolean))
  else for await (const { text } of readLines(stdin)) given.push(...text.split(/[\s,]+/).filter(Boolean))
  if (given.length > 0) return { ids: new Set(given) }
  throw new EvtError('usage', 'cannot use --ids: there is none in it', {
    hint: 'ids stand in `evt dlq list --flat --source …`',
  })
}

export interface MatchingBuried {
  readonly rows: AsyncIterable<Row>
  /** Filled while `rows` is read. */
  readonly seen: { scanned: number; matched: number; stoppedEarly: boolean; marked: number }
}

/** Reads all of them, the oldest first, those of the selection only; ends after `limit` matches. */
export function matchingBuried(buried: Buried, limit = Number.POSITIVE_INFINITY): MatchingBuried {
  const { letters, topic, selection, signal } = buried
  const seen = { scanned: 0, matched: 0, stoppedEarly: false, marked: 0 }
  async function* rows(): AsyncGenerator<Row> {
    for await (const batch of letters.list(topic, signal)) {
      for (const letter of batch) {
        seen.scanned++
        if (isMarked(letter)) seen.marked++
        const { row, event } = read(letter, topic)
        if (!matches(row, event, selection)) continue
        seen.matched++
        yield row
        seen.stoppedEarly = seen.matched >= limit
        if (seen.stoppedEarly) return
      }
    }
    signal.throwIfAborted()
    await assertGraves(buried, seen)
  }
  return { rows: rows(), seen }
}

/** It says of itself that it died. */
const isMarked = ({ origin, error, attempts }: BuriedMessage) =>
  error !== undefined || attempts !== undefined || origin.topic !== undefined || origin.group !== undefined

/** Throws `usage` for a topic that is none of dead letters: live messages must not be listed, or moved, as dead ones. */
async function assertGraves(
  { transport, letters, topic, shown }: Buried,
  { scanned, marked }: { readonly scanned: number; readonly marked: number },
): Promise<void> {
  const namedSo = /dlq|dlt|dead|error|fail|poison|parking/i.test(topic)
  if (marked > 0 || (scanned > 0 && namedSo)) return
  const here = `dead letters of ${topic} on ${shown}`
  if (scanned > 0)
    throw new EvtError('usage', `cannot read ${here}: its messages carry no mark of a dead letter`, {
      hint: `\`evt tail -s …\` shows a topic; its dead letters would lie in ${letters.nameOf(topic)}`,
    })
  const ending = letters.nameOf('')
  const origin = ending !== '' && topic.endsWith(ending) ? topic.slice(0, -ending.length) : undefined
  for (const name of [topic, origin]) if (name !== undefined && (await exists(transport, name))) return
  throw new EvtError('usage', `cannot read ${here}: it does not exist${origin ? `, and neither does ${origin}` : ''}`, {
    hint: `dead letters of a topic X lie in ${letters.nameOf('X')}`,
  })
}

export async function exists(transport: Transport, topic: string): Promise<boolean> {
  if ((await transport.inspect([topic])).topics.length > 0) return true
  const differences = await transport.ensure([{ name: topic, lanes: 1 }], 'check')
  return !differences.some(({ problem }) => problem === 'missing')
}

function matches(row: Row, event: Partial<EvtEvent>, { ids, cause, where }: Buried['selection']): boolean {
  if (ids && !ids.has(row.id)) return false
  if (cause && !row.cause.startsWith(cause)) return false
  const { handler, error, reason, attempts, returned } = row
  return !where || where.test({ ...event, evt: { handler, cause: row.cause, error, reason, attempts, returned } })
}

/** A foreign one too: what is not known is empty, never made up. */
export function read(letter: BuriedMessage, topic: string): { readonly row: Row; readonly event: Partial<EvtEvent> } {
  const event = eventIn(letter, topic)
  const handler = letter.origin.group ?? letter.origin.topic ?? topic
  const error = letter.error ?? { class: 'unknown', message: '' }
  const type = event.type ?? ''
  const at = letter.deadMs === undefined ? '' : new Date(letter.deadMs).toISOString()
  const row = {
    id: letter.id,
    eventId: letter.message.id,
    handler,
    type,
    subject: letter.message.key,
    cause: fingerprintOf({ handler, type, error: { name: error.class, message: error.message } }),
    reason: letter.error ? 'retries_exhausted' : 'unknown',
    error: error.message === '' ? error.class : `${error.class}: ${error.message}`,
    attempts: letter.attempts ?? 0,
    returned: 0,
    firstFailedAt: at,
    lastFailedAt: at,
  }
  return { row, event }
}

function eventIn({ message, origin, deadMs }: BuriedMessage, topic: string): Partial<EvtEvent> {
  const time = new Date(deadMs ?? 0).toISOString()
  const context = { topic: origin.topic ?? topic, time, id: message.id }
  const unknown = () => decodeAny(message.body, context).event
  if (message.isTombstone) return decodeAny(null, { ...context, headers: message.headers }).event
  if (message.headers['ce-specversion'] === undefined) return unknown()
  try {
    return { ...fromHeaders(message.headers, message.body) }
  } catch {
    return unknown()
  }
}
