// A message of ours in a stream entry: two fields, in this order.
//
//   evt   JSON: {"id": …, "key": …, "log": "…", "prev": "…", "headers": {…}}. `id` is left out when it is header `ce-id`, `key` when it
//         is `ce-subject`. Entries of the store's log have `log`, their position in it, and `prev`, that of the entry before them in
//         this lane (0 for the first): so that a gap shows. Both in decimal
//   body  the bytes
//
// An entry without the field `evt` in front is somebody else's: foreign-wire.ts makes a message of it.
import type { LogPosition, Message } from '../transport.ts'

/** An entry of ours; `prev` is there with `log`. */
export interface OurEntry extends Message {
  readonly prev?: LogPosition
}

/** `prev` for what is appended from the log; without it, the message's log position stays out too. */
export function encodeMeta(message: Message, prev?: LogPosition): string {
  const { id, key, log, headers } = message
  return JSON.stringify({
    id: headers['ce-id'] === id ? undefined : id,
    key: key !== null && headers['ce-subject'] === key ? undefined : key,
    log: prev === undefined ? undefined : String(log),
    prev: prev === undefined ? undefined : String(prev),
    headers,
  })
}

/** Undefined for an entry that is not ours or that somebody spoiled. Never throws. */
export function decodeOurs(fields: readonly Buffer[]): OurEntry | undefined {
  const [name, json, bodyName, body] = fields
  if (!isWord(name, 'evt') || !isWord(bodyName, 'body') || json === undefined || body === undefined) return undefined
  const meta = parsed(json)
  const id = meta?.id ?? meta?.headers['ce-id']
  if (meta === undefined || id === undefined) return undefined
  const { headers, log, prev } = meta
  const key = meta.key === undefined ? (headers['ce-subject'] ?? null) : meta.key
  if (log === undefined || prev === undefined) return { id, key, headers, body }
  return { id, key, headers, body, log: BigInt(log), prev: BigInt(prev) }
}

interface Meta {
  readonly id?: string
  readonly key?: string | null
  readonly log?: string
  readonly prev?: string
  readonly headers: Readonly<Record<string, string>>
}

function parsed(json: Buffer): Meta | undefined {
  try {
    const meta: unknown = JSON.parse(json.toString())
    return isMeta(meta) ? meta : undefined
  } catch {
    return undefined
  }
}

function isMeta(value: unknown): value is Meta {
  if (typeof value !== 'object' || value === null) return false
  const { id, key, log, prev, headers } = value as Readonly<Record<string, unknown>>
  return (
    (id === undefined || typeof id === 'string') &&
    (key === undefined || key === null || typeof key === 'string') &&
    isPosition(log) &&
    isPosition(prev) &&
    typeof headers === 'object' &&
    headers !== null
  )
}

const isPosition = (value: unknown) => value === undefined || (typeof value === 'string' && /^\d{1,19}$/.test(value))

function isWord(bytes: Buffer | undefined, word: string): boolean {
  return bytes !== undefined && bytes.length === word.length && bytes.toString('latin1') === word
}
