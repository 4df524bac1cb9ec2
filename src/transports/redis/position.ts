// How far a lane was read, as one number that orders: ms, n of the entry's id and the log position, 64 bits each. Entries that are
// not of the log carry the log position before them; what was fetched from the log carries the id before it. As text: `<ms>-<n>/<log>`.
import type { LogPosition } from '../transport.ts'

export type Place = bigint

const bits = 64n
const mask = (1n << bits) - 1n

export function placeAt(id: string, log: LogPosition): Place {
  const dash = id.indexOf('-')
  return (BigInt(id.slice(0, dash)) << 128n) | (BigInt(id.slice(dash + 1)) << bits) | log
}

export const idAt = (place: Place) => `${place >> 128n}-${(place >> bits) & mask}`
export const logAt = (place: Place): LogPosition => place & mask
export const formatPlace = (place: Place) => `${idAt(place)}/${logAt(place)}`

export function parsePlace(text: string): Place {
  const slash = text.indexOf('/')
  return placeAt(text.slice(0, slash), BigInt(text.slice(slash + 1)))
}
