import { gunzipSync } from 'node:zlib'
import { undecodable } from './attributes.ts'

/** Says that the body is gzip of what the other headers describe; the checksum is over what it holds. */
export const contentEncodingName = 'ce-datacontentencoding'

/** A few bytes could become any number of them. */
const mostBytes = 64 * 1024 * 1024

/** Other values are anybody's: `base64` comes from CloudEvents before 1.0. */
export const isGzip = (headers: Readonly<Record<string, string>>): boolean => headers[contentEncodingName] === 'gzip'

/** The body as it was before a publisher made it smaller. Throws EvtError('decode') for one that is broken, or far too large. */
export function inflated<B extends Uint8Array | string>(body: B): Buffer | B {
  // What comes out of a store has it as it was.
  if (typeof body === 'string') return body
  try {
    return gunzipSync(body, { maxOutputLength: mostBytes })
  } catch (cause) {
    throw undecodable('its body is no gzip, or more than 64 MiB', cause)
  }
}
