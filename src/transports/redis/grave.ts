// A dead letter in the stream `<topic>:dlq`, as evt writes it: a message in our own wire (wire.ts), and behind it why it lies there:
//
//   evt    {"id": …, "key": …, "headers": {…}}
//   body   the bytes
//   dead   {"topic", "at", "group", "class", "message", "attempts", "ms"} as JSON: where it came from, what failed, when it died
//
// Of others, these fields say the same, in this order of trust; what is left of the entry without them is the message:
//
//   topic     original_topic, original_stream, source_topic, source_stream, origin_topic, origin, stream, topic, queue
//   at        original_id, original_message_id, source_id, stream_id, redis_id
//   group     consumer_group, group, consumer
//   error     error, error_message, exception, exception_message, reason, failure_reason, last_error
//   class     error_type, error_class, exception_type, exception_class
//   attempts  attempts, attempt, retry_count, retries, delivery_count, times_delivered
//   dead      failed_at, dead_at, died_at, dead_lettered_at, moved_at, error_timestamp: RFC 3339, seconds or milliseconds
import type { Burial, BuriedMessage } from '../transport.ts'
import { timeOfId } from './entry-id.ts'
import { decodeForeign, visible } from './foreign-wire.ts'
import { decodeOurs } from './wire.ts'

const aliases = {
  topic: [
    'original_topic',
    'original_stream',
    'source_topic',
    'source_stream',
    'origin_topic',
    'origin',
    'stream',
    'topic',
    'queue',
  ],
  at: ['original_id', 'original_message_id', 'source_id', 'stream_id', 'redis_id'],
  group: ['consumer_group', 'group', 'consumer'],
  error: ['error', 'error_message', 'exception', 'exception_message', 'reason', 'failure_reason', 'last_error'],
  class: ['error_type', 'error_class', 'exception_type', 'exception_class'],
  attempts: ['attempts', 'attempt', 'retry_count', 'retries', 'delivery_count', 'times_delivered'],
  dead: ['failed_at', 'dead_at', 'died_at', 'dead_lettered_at', 'moved_at', 'error_timestamp'],
} as const

type Fact = keyof typeof aliases

const factOf: ReadonlyMap<string, Fact> = new Map(
  Object.entries(aliases).flatMap(([fact, names]) => names.map((name) => [name, fact as Fact] as const)),
)

/** A letter as it was found; `fields` are the message's own, of an entry that evt did not write. */
export interface FoundLetter extends BuriedMessage {
  readonly fields?: readonly Buffer[]
}

export function encodeDeath({ message, group, error, attempts }: Burial, nowMs: number): string {
  const { topic, at } = message
  return JSON.stringify({ topic, at, group, class: error.class, message: error.message, attempts, ms: nowMs })
}

/** @param topic where letters without an origin came from, by the name of their stream. Never throws. */
export function decodeLetter(
  stream: string,
  topic: string | undefined,
  id: string,
  fields: readonly Buffer[],
): FoundLetter {
  const ours = decodeOurs(fields)
  const death = ours === undefined ? undefined : deathIn(fields)
  if (ours === undefined) return decodeOthers(stream, topic, id, fields)
  const { log: _, prev: __, ...message } = ours
  if (death === undefined) return { id, message, origin: topic === undefined ? {} : { topic } }
  const { class: name, message: text, ms, attempts, ...origin } = death
  return {
    id,
    message,
    origin: pick(origin, ['topic', 'at', 'group']),
    error: { class: String(name ?? 'Error'), message: String(text ?? '') },
    ...(typeof attempts === 'number' ? { attempts } : {}),
    ...(typeof ms === 'number' ? { deadMs: ms } : {}),
  }
}

function pick(from: Readonly<Record<string, unknown>>, names: readonly string[]): Readonly<Record<string, string>> {
  const known = names.filter((name) => typeof from[name] === 'string')
  return Object.fromEntries(known.map((name) => [name, from[name] as string]))
}

function deathIn(fields: readonly Buffer[]): Readonly<Record<string, unknown>> | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]?.toString() !== 'dead') continue
    try {
      const death: unknown = JSON.parse(fields[at + 1]?.toString() ?? '')
      if (typeof death === 'object' && death !== null) return death as Record<string, unknown>
    } catch {
      return undefined
    }
  }
  return undefined
}

function decodeOthers(stream: string, topic: string | undefined, id: string, fields: readonly Buffer[]): FoundLetter {
  const facts = new Map<Fact, string>()
  const rest: Buffer[] = []
  const trusted = trustedNames(fields)
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name, value] = [fields[at] as Buffer, fields[at + 1] as Buffer]
    const fact = factOf.get(name.toString())
    if (fact !== undefined && trusted.get(fact) === name.toString()) facts.set(fact, visible(value))
    else rest.push(name, value)
  }
  const origin = { topic: facts.get('topic') ?? topic, at: facts.get('at'), group: facts.get('group') }
  const attempts = Number(facts.get('attempts') ?? Number.NaN)
  const deadMs = timeIn(facts.get('dead')) ?? timeOfId(id)
  return {
    id,
    message: decodeForeign(stream, id, rest),
    fields: rest,
    origin: pick(origin, ['topic', 'at', 'group']),
    ...errorIn(facts.get('class'), facts.get('error')),
    ...(Number.isInteger(attempts) && attempts >= 0 ? { attempts } : {}),
    ...(deadMs === undefined ? {} : { deadMs }),
  }
}

/** Of several names for one fact, the first counts; the others belong to the message. */
function trustedNames(fields: readonly Buffer[]): ReadonlyMap<Fact, string> {
  const present = new Set(fields.filter((_, at) => at % 2 === 0).map((name) => name.toString()))
  const found = Object.entries(aliases).map(
    ([fact, names]) => [fact, (names as readonly string[]).find((name) => present.has(name))] as const,
  )
  return new Map(found.filter(([, name]) => name !== undefined) as [Fact, string][])
}

function errorIn(name: string | undefined, text: string | undefined): Pick<BuriedMessage, 'error'> {
  if (name === undefined && text === undefined) return {}
  const [, inText, rest] = /^([A-Za-z_$][\w$.]*(?:Error|Exception))(?:: ([\s\S]*))?$/.exec(text ?? '') ?? []
  if (name !== undefined) return { error: { class: name, message: text ?? '' } }
  return { error: { class: inText ?? 'Error', message: inText === undefined ? (text ?? '') : (rest ?? '') } }
}

function timeIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  // Seconds until the year 5138, milliseconds after 1973.
  if (text !== '' && Number.isFinite(number)) return Math.round(number < 1e11 ? number * 1_000 : number)
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : parsed
}
