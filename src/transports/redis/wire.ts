// A message of ours in a stream entry: four fields in this order (`log` and `prev` only for entries of the store's log).
//
//   evt   {"id": …, "key": …, "headers": {…}} as JSON. `id` is left out when it is header `ce-id`, `key` when it is `ce-subject`
//   log   its position in the log, decimal
//   prev  the log position of the entry before it in this lane, 0 for the first: a gap between two entries shows
//   body  the bytes
//
// An entry without the field `evt` in front is somebody else's: foreign.ts makes a message of it.
import type { LogPosition, Message } from '../transport.ts'

/** What `XRANGE` and `XREAD` give for an entry, asked for as buffers: its id, then names and values by turns. */
export type RawEntry = readonly [Buffer, readonly Buffer[] | null]

/** An entry of ours; `prev` is there with `log`. */
export interface OurEntry extends Message {
  readonly prev?: LogPosition
}

export function encodeMeta({ id, key, headers }: Message): string {
  return JSON.stringify({
    id: headers['ce-id'] === id ? undefined : id,
    key: key !== null && headers['ce-subject'] === key ? undefined : key,
    headers,
  })
}

/** Undefined for an entry that is not ours or that somebody spoiled. Never throws. */
export function decodeOurs(fields: readonly Buffer[]): OurEntry | undefined {
  if (!isWord(fields[0], 'evt')) return undefined
  const meta = parsed(fields[1])
  if (meta === undefined) return undefined
  const { headers } = meta
  const id = meta.id ?? headers['ce-id']
  if (id === undefined) return undefined
  const message = { id, key: meta.key === undefined ? (headers['ce-subject'] ?? null) : meta.key, headers }
  if (isWord(fields[2], 'body') && fields[3] !== undefined) return { ...message, body: fields[3] }
  if (!isWord(fields[2], 'log') || !isWord(fields[4], 'prev') || !isWord(fields[6], 'body')) return undefined
  const [log, prev, body] = [positionIn(fields[3]), positionIn(fields[5]), fields[7]]
  if (log === undefined || prev === undefined || body === undefined) return undefined
  return { ...message, log, prev, body }
}

interface Meta {
  readonly id?: string
  readonly key?: string | null
  readonly headers: Readonly<Record<string, string>>
}

function parsed(json: Buffer | undefined): Meta | undefined {
  try {
    const meta: unknown = JSON.parse(json?.toString() ?? '')
    return isMeta(meta) ? meta : undefined
  } catch {
    return undefined
  }
}

function isMeta(value: unknown): value is Meta {
  if (typeof value !== 'object' || value === null) return false
  const { id, key, headers } = value as { id?: unknown; key?: unknown; headers?: unknown }
  return (
    (id === undefined || typeof id === 'string') &&
    (key === undefined || key === null || typeof key === 'string') &&
    typeof headers === 'object' &&
    headers !== null
  )
}

function positionIn(text: Buffer | undefined): LogPosition | undefined {
  const digits = text?.toString('latin1') ?? ''
  return /^\d{1,19}$/.test(digits) ? BigInt(digits) : undefined
}

function isWord(bytes: Buffer | undefined, word: string): boolean {
  return bytes !== undefined && bytes.length === word.length && bytes.toString('latin1') === word
}
