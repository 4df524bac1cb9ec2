import { hash } from 'node:crypto'

/** SHA-256 as 64 lower-case hex digits. A string counts as its UTF-8 bytes. */
export function checksumOf(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex')
}
