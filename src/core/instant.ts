import { parseDuration } from './duration.ts'
import { EvtError } from './errors.ts'

/** A position is text that the source gave out: `123`, `0:123`, `1763726400000-0`. */
export type Instant = { readonly timeMs: number } | 'start' | 'now' | { readonly position: string }

/**
 * What `--since` and `--until` take: `start`, `now`, `position:123`, `15m` or `15m ago`, RFC 3339 (`2025-08-23` is its
 * first instant in UTC), epoch seconds, or epoch milliseconds from 100000000000 on. Throws `usage`.
 */
export function parseInstant(text: string, nowMs: number): Instant {
  const word = text.trim()
  if (word === 'start' || word === 'now') return word
  const position = /^position:([0-9A-Za-z]\S{0,199})$/.exec(word)?.[1]
  if (position !== undefined) return { position }
  if (/^\d+(\.\d+)?$/.test(word)) return { timeMs: fromEpoch(Number(word)) }
  const timeMs = timeMsOf(word) ?? timeMsOf(`${word}T00:00:00Z`)
  if (timeMs !== undefined) return { timeMs }
  return { timeMs: nowMs - ago(word) }
}

/**
 * RFC 3339 as milliseconds since the epoch, finer digits cut off; undefined when the text is none (`2025-02-30`, no
 * offset, years outside 0000..9999, leap seconds).
 */
export function timeMsOf(text: string): number | undefined {
  const match = rfc3339.exec(text)
  if (!match) return undefined
  const [, date = '', clock = '', fraction = '', zone = ''] = match
  const utc = Date.parse(`${date}T${clock}.${fraction.slice(1, 4).padEnd(3, '0')}Z`)
  // Date.parse moves the 30th of February into March.
  if (Number.isNaN(utc) || !isInMonth(date)) return undefined
  const offset = offsetMs(zone)
  return offset === undefined ? undefined : utc - offset
}

/** The same instant as evt writes it: UTC with `Z`, at least milliseconds, finer digits kept; undefined when it is none. */
export function toUtcTime(text: string): string | undefined {
  if (isUtcTime(text)) return text
  const timeMs = timeMsOf(text)
  if (timeMs === undefined) return undefined
  const utc = new Date(timeMs).toISOString()
  // An offset at either end of the calendar leaves the four-digit years.
  if (utc.length !== 24) return undefined
  const finer = (rfc3339.exec(text)?.[3] ?? '').slice(4)
  return `${utc.slice(0, -1)}${finer}Z`
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/
const utcTime = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3,9}Z$/

/** The common case, decided without a Date; the last days of a month go the long way. */
function isUtcTime(text: string): boolean {
  return utcTime.test(text)
}

function isInMonth(date: string): boolean {
  const day = date.slice(8)
  return day <= '28' || new Date(`${date}T00:00Z`).getUTCDate() === Number(day)
}

function offsetMs(zone: string): number | undefined {
  if (zone.length === 1) return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(4))
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

function fromEpoch(value: number): number {
  return Math.trunc(value < 100_000_000_000 ? value * 1000 : value)
}

function ago(word: string): number {
  try {
    return parseDuration(word.replace(/ ago$/, ''))
  } catch (cause) {
    const local = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(word) && !/([Zz]|[+-]\d{2}:\d{2})$/.test(word)
    throw new EvtError('usage', `cannot read time '${word}': ${local ? 'the zone is missing' : 'it is no instant'}`, {
      hint: local
        ? `write ${word}Z for UTC`
        : '15m (ago), 2025-08-23T10:00:00Z, epoch seconds, start, now or position:123',
      cause,
    })
  }
}
