import { hash } from 'node:crypto'

/** How many slots there are. A lane owns the slots with `slot % lanes === lane`. */
export const slotCount = 256

/**
 * The slot of a subject, 0..255: the first byte of the MD5 of its UTF-8 form. Equal to SQL's
 * `get_byte(decode(md5(subject), 'hex'), 0)`, which the sequencer writes into the log; never change one alone.
 */
export function slotOf(subject: string): number {
  // Hex, because a Buffer result costs twice the time.
  return Number.parseInt(hash('md5', subject, 'hex').slice(0, 2), 16)
}
