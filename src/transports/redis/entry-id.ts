// Positions in a stream: `<ms>-<n>`, both unsigned 64-bit numbers without leading zeros.

/** Before every entry. */
export const firstId = '0-0'

/** Nothing can come after it. */
export const lastPossibleId = '18446744073709551615-18446744073709551615'

/** Negative when `a` is before `b`. */
export function compareIds(a: string, b: string): number {
  if (a === b) return 0
  const [dashA, dashB] = [a.indexOf('-'), b.indexOf('-')]
  if (dashA !== dashB) return dashA - dashB
  const [msA, msB] = [a.slice(0, dashA), b.slice(0, dashB)]
  if (msA !== msB) return msA < msB ? -1 : 1
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length
}

/** The greatest date that there is. */
const latestMs = 8.64e15

/** When the entry was stored, by the server's clock; undefined for an id that somebody made up beyond all dates. */
export function timeOfId(id: string): number | undefined {
  const ms = Number(id.slice(0, id.indexOf('-')))
  return Number.isFinite(ms) && ms <= latestMs ? ms : undefined
}

/** The id just before this one, for commands that begin after what they are given. */
export function idBefore(id: string): string {
  const [ms = '0', n = '0'] = id.split('-')
  if (BigInt(n) > 0n) return `${ms}-${BigInt(n) - 1n}`
  return BigInt(ms) > 0n ? `${BigInt(ms) - 1n}-18446744073709551615` : firstId
}
