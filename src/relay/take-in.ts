import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { checksumOf } from '../core/checksum.ts'
import { type Decoded, decodeAll, type EncodedEvent, encodeWithText } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import { type EvtEvent, maxDataBytes } from '../core/event.ts'
import { mostHops, originNames, placeOfTopic, toMetadata } from '../core/origin.ts'
import type { RelayDeadLetter } from '../store/relay-dead-letters.ts'
import type { Received } from '../transports/transport.ts'
import { originIn } from './origin-in.ts'
import type { SourceConfig } from './source-config.ts'

/** What became of one message from outside. */
export type TakenIn =
  | { readonly kind: 'events'; readonly events: readonly EncodedEvent[] }
  /** This store itself has published it. */
  | { readonly kind: 'looped' }
  | { readonly kind: 'dead'; readonly dead: RelayDeadLetter }

export interface TakeInContext {
  readonly config: SourceConfig
  readonly storeId: string
  readonly instance: string
}

/** One message as events of this store; none, when nobody wants its types. Never throws. */
export function takeIn(message: Received, context: TakeInContext): TakenIn {
  const { config, storeId } = context
  const { via, hops } = originIn(message.headers)
  if (via.includes(storeId)) return { kind: 'looped' }
  const id = idOf(message, config)
  const dead = (error: EvtError): TakenIn => ({ kind: 'dead', dead: deadLetterOf({ ...message, id }, error, context) })
  if (hops >= mostHops)
    return dead(
      new EvtError('refused', `cannot take in ${id}: it has gone through ${hops} bridges, the limit is ${mostHops}`),
    )
  const origin = { via, origin: placeOfTopic(config.url, message.topic), hops: hops + 1 }
  try {
    const events = decodedEvents(message, id, config)
      .map(({ event, dataText }) => ({ event: calledAsHere(event, config), dataText }))
      .filter(({ event }) => config.wanted.matches(event.type))
      .map(({ event, dataText }) => sized(withOrigin(event, toMetadata(origin)), dataText))
    return { kind: 'events', events }
  } catch (error) {
    return dead(error instanceof EvtError ? error : new EvtError('decode', toError(error).message, { cause: error }))
  }
}

/** A message whose id the transport made up has one that the same bytes at the same place always have. */
function idOf(message: Received, { url }: SourceConfig): string {
  const given = message.headers['ce-id']
  if (given !== undefined && given.length <= 255) return message.id
  const hash = createHash('sha256')
    .update(`${placeOfTopic(url, message.topic)}\n${message.at}\n`)
    .update(message.body)
  return `sha256-${hash.digest('hex').slice(0, 32)}`
}

function decodedEvents(message: Received, id: string, { dialect }: SourceConfig): readonly Decoded[] {
  const { topic, headers, body, timeMs, isTombstone } = message
  const time = timeMs === undefined ? {} : { time: new Date(timeMs).toISOString() }
  const all = decodeAll(isTombstone ? null : body, { topic, headers, id, ...time })
  for (const one of all) {
    if (one.problem) throw one.problem
    const { checksum } = one.event
    // Other dialects make theirs over other bytes, and their decoders look at it.
    if (one.dialect.startsWith('cloudevents') && checksum !== undefined && checksum !== checksumOf(one.dataText))
      throw new EvtError(
        'checksum',
        `cannot take in ${id}: its data has another checksum than the one that it came with`,
      )
    if (one.dialect === 'unknown' && !isUtf8(body))
      throw new EvtError('decode', `cannot take in ${id}: it is no event, and no text either`)
    if (dialect !== undefined && !isOf(dialect, one.dialect))
      throw new EvtError('decode', `cannot take in ${id}: it is ${one.dialect}, not ${dialect}: ${one.because}`)
  }
  return all
}

/** CloudEvents have three forms, and a source takes any of them. */
const isOf = (asked: string, found: string) =>
  found === asked || (asked.startsWith('cloudevents') && found.startsWith('cloudevents'))

/** Before any contract is asked: contracts know the names that types have here. */
function calledAsHere(event: EvtEvent, { renames, wanted }: SourceConfig): EvtEvent {
  const type = renames.here(event.type)
  if (type === event.type) return event
  if (type !== undefined) return { ...event, type }
  if (!wanted.matches(event.type)) return event
  const reason = 'its source gives that name to another type'
  throw new EvtError('contract', `cannot take in ${event.id}: its type is ${event.type} there, and ${reason}`)
}

function withOrigin(event: EvtEvent, origin: EvtEvent['metadata']): EvtEvent {
  const metadata = Object.fromEntries(Object.entries(event.metadata).filter(([name]) => !ours.has(name)))
  // The checksum that it came with was looked at; ours is over the bytes that we keep.
  const { checksum: _, ...rest } = event
  return { ...rest, metadata: { ...metadata, ...origin } }
}
const ours: ReadonlySet<string> = new Set(Object.values(originNames))

function sized(event: EvtEvent, dataText: string): EncodedEvent {
  const encoded = encodeWithText(event, dataText)
  const size = Buffer.byteLength(dataText)
  if (size <= maxDataBytes) return encoded
  throw new EvtError('too-large', `cannot take in ${event.type}: ${size} bytes of data, the limit is ${maxDataBytes}`)
}

const reasons: Readonly<Partial<Record<string, RelayDeadLetter['reason']>>> = {
  decode: 'undecodable',
  checksum: 'checksum',
  contract: 'contract',
}

export function deadLetterOf(message: Received, error: EvtError, { config, instance }: TakeInContext): RelayDeadLetter {
  return {
    by: `source:${config.name}`,
    message,
    type: message.headers['ce-type'] ?? message.topic,
    reason: reasons[error.code] ?? 'non-retryable',
    error: { class: error.name, code: error.code, message: error.message },
    instance,
  }
}
