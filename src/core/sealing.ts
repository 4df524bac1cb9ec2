import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { EvtError } from './errors.ts'

/** A key of 32 bytes, and the name that what it seals carries. */
export interface SealingKey {
  readonly id: string
  readonly bytes: Uint8Array
}

const start = 'evt:sealed:1:'
const form = /^evt:sealed:1:([0-9a-f-]{8,64}):([\w-]+)$/
const everywhere = /evt:sealed:1:([0-9a-f-]{8,64}):[\w-]+/g
const [ivBytes, tagBytes] = [12, 16]

/** Where a text may hold something sealed, these bytes stand. */
export const sealedMark: Buffer = Buffer.from(start)

/**
 * A JSON value under AES-256-GCM, as one text without quotes or spaces: `evt:sealed:1:<id of the key>:<base64url of iv, tag, bytes>`.
 *
 * The iv is made of the value and its place (as in RFC 5297): an event that is sent again has the same bytes, and is known as a duplicate.
 *
 * @param place where the value stands: with the event's id in it, equal values of two events look different
 */
export function seal(value: unknown, key: SealingKey, place: string): string {
  const bytes = Buffer.from(JSON.stringify(value))
  const iv = createHmac('sha256', key.bytes).update(`evt iv\n${place}\n`).update(bytes).digest().subarray(0, ivBytes)
  return `${start}${key.id}:${sealBytes(bytes, key, iv).toString('base64url')}`
}

/** The id of the key, when this is something sealed. */
export const sealedBy = (value: unknown): string | undefined =>
  typeof value === 'string' && value.startsWith(start) ? form.exec(value)?.[1] : undefined

/** The ids of all keys that something in the text is sealed with. */
export const sealingIds = (text: string): readonly string[] => [
  ...new Set(Array.from(text.matchAll(everywhere), ([, id]) => id as string)),
]

/** The text with everything sealed in it as `***`. */
export const withoutSealed = (text: string): string => (text.includes(start) ? text.replace(everywhere, '***') : text)

/** What was sealed. Throws EvtError('contract') when it was made with another key or changed since. */
export function unseal(sealed: string, key: SealingKey): unknown {
  const bytes = Buffer.from(form.exec(sealed)?.[2] ?? '', 'base64url')
  return JSON.parse(unsealBytes(bytes, key).toString('utf8'))
}

/** `iv, tag, bytes`, bound to the id of the key and to `about`. */
export function sealBytes(bytes: Uint8Array, key: SealingKey, iv: Uint8Array, about = ''): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key.bytes, iv).setAAD(Buffer.from(`${key.id}\n${about}`))
  const body = Buffer.concat([cipher.update(bytes), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

/** Throws EvtError('contract') as `unseal`. */
export function unsealBytes(bytes: Uint8Array, key: SealingKey, about = ''): Buffer {
  try {
    const [iv, tag] = [bytes.subarray(0, ivBytes), bytes.subarray(ivBytes, ivBytes + tagBytes)]
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, iv, { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(`${key.id}\n${about}`)).setAuthTag(tag)
    return Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()])
  } catch (cause) {
    throw new EvtError('contract', `cannot decrypt with key ${key.id}: it is another key, or the bytes were changed`, {
      cause,
    })
  }
}
