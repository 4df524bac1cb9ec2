import { EvtError } from '../../core/errors.ts'
import { maxDataBytes } from '../../core/event.ts'
import { parseSize } from '../../core/quantity.ts'

/** `200`, `64,1k,64k` as bytes. Throws `usage` above what publishing takes. */
export function sizes(given: string): readonly number[] {
  return given.split(',').map((part) => {
    const bytes = parseSize(part.trim().replace(/^(\d+(?:\.\d+)?)k$/i, '$1KiB'))
    if (bytes >= 1 && bytes <= maxDataBytes) return bytes
    throw new EvtError('usage', `cannot send events of ${part.trim()}: sizes are from 1 byte to 1 MiB`)
  })
}
