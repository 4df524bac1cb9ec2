import { checksumOf } from './checksum.ts'

/** Of an event's id: CloudEvents of many systems carry a URI there. */
export const maxIdCharacters = 255

/**
 * UTF-8 bytes of every other field that names something: subject, source, tenant and so on. Most stand in indexes of the store, two of them
 * together at most, and an index of PostgreSQL holds 2,704 bytes a row. `evt.refuse_long` has the same numbers.
 */
export const maxFieldBytes = 1024

/** Its first characters and a hash of all of it, where it is longer than `mostBytes`: a name for an index, one for each text. */
export function fitting(text: string, mostBytes = maxFieldBytes): string {
  // No character of JavaScript takes more than three bytes.
  if (text.length * 3 <= mostBytes || Buffer.byteLength(text) <= mostBytes) return text
  return `${text.slice(0, 100).toWellFormed()}…${checksumOf(text)}`
}
