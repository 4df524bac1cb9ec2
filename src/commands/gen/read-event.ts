import { createHash } from 'node:crypto'
import { reasonOf } from '../../config/load.ts'
import { type EncodedEvent, encodeWithText, fromCloudEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { formatJson, memberText } from '../../core/json-text.ts'
import type { Registry } from '../../core/registry.ts'
import type { NdjsonLine } from '../../generators/read-ndjson.ts'

interface Reading {
  readonly nowMs: number
  /** Events of its types must fit their contracts; others pass. */
  readonly registry: Registry | undefined
}

const whatIsRead = 'one CloudEvent as JSON on each line; "type" and "data" are enough'

/**
 * CloudEvents structured JSON as it is: the data's text stays, and what could only be kept by changing it is refused. An
 * `evt` member is ignored, so what `evt tail -o ndjson` printed is fine. Throws EvtError that names line and field.
 */
export function readEvent(given: NdjsonLine, { nowMs, registry }: Reading): EncodedEvent {
  try {
    const { checksum: _checksum, ...event } = fromCloudEvent(completed(given, nowMs))
    refuseBent(given.value as object)
    const encoded = encodeWithText(event, dataTextOf(given, event.data))
    if (registry?.get(event.type)) registry.validate(event)
    return encoded
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    const { code, hint = whatIsRead } = error
    throw new EvtError(code, `cannot read line ${given.line}: ${reasonOf(error)}`, { cause: error, hint })
  }
}

/**
 * With what the line may leave out. The id then comes from its text and its number: the same input twice is recognised, and two
 * equal lines of one input are two events.
 */
function completed({ line, value, text }: NdjsonLine, nowMs: number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const defaults = {
    specversion: '1.0',
    id: `sha256-${createHash('sha256').update(`${line} ${text}`).digest('hex').slice(0, 32)}`,
    source: 'evt-gen',
    time: new Date(nowMs).toISOString(),
  }
  return { ...defaults, ...value }
}

/** Decoding for the eye makes text of such values; an event with them would not be the one that was given. */
function refuseBent(value: object): void {
  for (const [name, attribute] of Object.entries(value)) {
    if (name === 'data' || name === 'evt') continue
    if (name === 'subject' && attribute !== null && typeof attribute !== 'string') {
      throw unreadable(`subject is ${formatJson(attribute).slice(0, 80)}, not a text`)
    }
    if (typeof attribute === 'number' && Math.abs(attribute) > Number.MAX_SAFE_INTEGER) {
      throw unreadable(`${name} is a number whose digits would be lost: write it as a text`)
    }
  }
}

const unreadable = (reason: string) => new EvtError('decode', `cannot decode event: ${reason}`)

function dataTextOf({ value, text }: NdjsonLine, data: unknown): string {
  const { data_base64: base64 } = value as { data_base64?: unknown }
  if (typeof base64 !== 'string') return memberText(text, 'data') ?? 'null'
  // Text of another content type became a JSON string.
  return typeof data === 'string' && data === base64 ? formatJson(data) : Buffer.from(base64, 'base64').toString()
}
