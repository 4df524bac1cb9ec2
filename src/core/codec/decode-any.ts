import { isUtf8 } from 'node:buffer'
import { checksumOf } from '../checksum.ts'
import { EvtError } from '../errors.ts'
import type { EvtEvent } from '../event.ts'
import { toUtcTime } from '../instant.ts'
import { formatJson } from '../json-text.ts'
import { fromCloudEvent } from './cloudevents.ts'
import type { DecodeContext, Dialect, FullContext } from './dialect.ts'
import { seedIcons } from './seed-icons.ts'

export type { DecodeContext } from './dialect.ts'

export interface Decoded {
  readonly event: EvtEvent
  /** The dialect's name; `unknown` when none fits. */
  readonly dialect: string
  /** Why a dialect that recognised the bytes could not read them; the event is then the unknown one. */
  readonly problem?: EvtError
}

const cloudEvents: Dialect = {
  name: 'cloudevents',
  recognises: (value) => typeof value.specversion === 'string',
  decode: (value, { time }) => fromCloudEvent(value, { time }),
}

/** In order of detection. */
const dialects: readonly Dialect[] = [cloudEvents, seedIcons]

/**
 * Any bytes as an event, for showing them: CloudEvents structured JSON, a known dialect, else as they are, with the
 * topic as type and source. JSON is parsed, other text stays text, other bytes become base64. Never throws.
 */
export function decodeAny(value: Uint8Array | string | object, context: DecodeContext = {}): Decoded {
  const { data, text } = read(value)
  const full: FullContext = {
    topic: context.topic || 'unknown',
    time: (context.time === undefined ? undefined : toUtcTime(context.time)) ?? '1970-01-01T00:00:00.000Z',
    id: context.id || `sha256-${checksumOf(text).slice(0, 32)}`,
  }
  const dialect = isObject(data) ? dialects.find((candidate) => candidate.recognises(data)) : undefined
  if (dialect === undefined) return { event: unknownEvent(data, full), dialect: 'unknown' }
  try {
    return { event: dialect.decode(data as Record<string, unknown>, full), dialect: dialect.name }
  } catch (thrown) {
    const problem =
      thrown instanceof EvtError
        ? thrown
        : new EvtError('decode', `cannot decode event: it is no ${dialect.name}`, { cause: thrown })
    return { event: unknownEvent(data, full), dialect: 'unknown', problem }
  }
}

/** The parsed form, and what to hash. */
function read(value: Uint8Array | string | object): { readonly data: unknown; readonly text: Uint8Array | string } {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return { data: value, text: jsonOf(value) }
  if (typeof value !== 'string' && !isUtf8(value)) return { data: bytesOf(value).toString('base64'), text: value }
  const text = typeof value === 'string' ? value : bytesOf(value).toString()
  try {
    return { data: JSON.parse(text), text: value }
  } catch {
    return { data: text, text: value }
  }
}

function unknownEvent(data: unknown, { id, topic, time }: FullContext): EvtEvent {
  return { id, type: topic, version: 1, source: topic, time, priority: 'normal', metadata: {}, data }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function jsonOf(value: object): string {
  try {
    return formatJson(value)
  } catch {
    return ''
  }
}

function bytesOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
