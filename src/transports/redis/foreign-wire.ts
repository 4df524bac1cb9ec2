// A message of a stream entry that evt did not write, whatever its fields are:
//
//   one field (data, event, payload, body or message) with JSON in it, or with bytes that are no text: that is the body
//   ce-… (or ce_…) fields beside one of those: CloudEvents in binary mode, the fields are the headers
//   anything else: the body is a JSON object of the fields, all values text
//
// What is not UTF-8 is made visible as `\xNN`. Never throws, and the same entry always gives the same bytes.
import { isUtf8 } from 'node:buffer'
import type { Headers, Message } from '../transport.ts'

const bodyNames: ReadonlySet<string> = new Set(['data', 'event', 'payload', 'body', 'message'])
const idNames = ['event_id', 'eventId', 'ce-id']

/** @param stream and `at` name the message where it has no id of its own */
export function decodeForeign(stream: string, at: string, fields: readonly Buffer[]): Message {
  const named = namesOf(fields)
  const binary = named.some(([name]) => /^ce[-_]/.test(name)) ? binaryMode(named) : undefined
  const { headers, body } = binary ?? { headers: {}, body: bodyOf(named) }
  const id = idIn(headers['ce-id'], named) ?? `${stream}@${at}`
  return { id, key: headers['ce-subject'] ?? null, headers, body }
}

type Named = readonly (readonly [name: string, value: Buffer])[]

const nothing = Buffer.alloc(0)

function namesOf(fields: readonly Buffer[]): Named {
  const named: (readonly [string, Buffer])[] = []
  for (let at = 0; at < fields.length; at += 2) named.push([visible(fields[at] ?? nothing), fields[at + 1] ?? nothing])
  return named
}

function bodyOf(named: Named): Uint8Array {
  const [first] = named
  if (named.length === 1 && first !== undefined && bodyNames.has(first[0]) && isBody(first[1])) return first[1]
  // As pairs, so that a field `__proto__` is a member like any other, and the last of two of one name counts.
  return Buffer.from(JSON.stringify(Object.fromEntries(named.map(([name, value]) => [name, visible(value)]))))
}

function isBody(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return true
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

function binaryMode(named: Named): { readonly headers: Headers; readonly body: Uint8Array } | undefined {
  const bodies = named.filter(([name]) => bodyNames.has(name))
  if (bodies.length !== 1) return undefined
  const others = named.filter(([name]) => !bodyNames.has(name))
  const headers = Object.fromEntries(
    others.map(([name, value]) => [name.replace(/^ce_/, 'ce-').toLowerCase(), visible(value)]),
  )
  return { headers, body: bodies[0]?.[1] ?? nothing }
}

function idIn(header: string | undefined, named: Named): string | undefined {
  const field = named.find(([name]) => idNames.includes(name))
  return header || (field === undefined ? undefined : visible(field[1])) || undefined
}

/** UTF-8 as text; of other bytes, the ASCII as it is and the rest as `\xNN`. */
export function visible(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  let text = ''
  for (const byte of bytes) {
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return text
}

/**
 * The fields of a message for a stream whose readers are not ours: those that it was made of, as far as it still says. One that came in a
 * lone field of another name is in `data` afterwards.
 */
export function encodeForeign({ headers, body }: Message): readonly (string | Buffer)[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const named = Object.entries(headers)
  if (named.length > 0) return [...named.flat(), 'data', bytes]
  const fields = textFieldsIn(bytes)
  return fields === undefined ? ['data', bytes] : fields.flat()
}

function textFieldsIn(body: Buffer): readonly (readonly [string, string])[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value)
    return entries.length > 0 && entries.every(([, text]) => typeof text === 'string') ? entries : undefined
  } catch {
    return undefined
  }
}
