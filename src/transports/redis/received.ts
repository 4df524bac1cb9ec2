import type { Received } from '../transport.ts'
import { timeOfId } from './entry-id.ts'
import { decodeForeign } from './foreign-wire.ts'
import { decodeOurs } from './wire.ts'

/** Any entry as what its reader gets, ours or not. Never throws. `at` is the entry's id. */
export function toReceived(
  topic: string,
  stream: string,
  [id, fields]: readonly [Buffer, readonly Buffer[]],
  deliveries: number,
): Received {
  const at = id.toString()
  const ours = decodeOurs(fields)
  const isOurs = ours !== undefined && Object.values(ours.headers).every((value) => typeof value === 'string')
  const timeMs = timeOfId(at)
  const where = timeMs === undefined ? { topic, at, deliveries } : { topic, at, timeMs, deliveries }
  if (!isOurs) return { ...decodeForeign(stream, at, fields), ...where }
  const { prev: _, ...message } = ours
  return { ...message, ...where }
}
