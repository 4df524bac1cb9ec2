import { parseDuration } from './duration.ts'
import { EvtError } from './errors.ts'

/** A stretch of the schedule whose rate goes linearly from `from` to `to` events per second. */
export interface RateSegment {
  readonly from: number
  readonly to: number
  /** Infinity for a rate that never ends. */
  readonly durationMs: number
}

/** What `--rate` says: stretches one after the other, or as fast as the target takes it. */
export type RateShape = 'max' | readonly RateSegment[]

const examples = 'examples: --rate 1000, --rate 500..5000/60s, --rate 200:30s,2000:10s, --rate max'

/** A rate that never changes nor ends. */
export const constantRate = (perSecond: number): RateShape => [{ from: perSecond, to: perSecond, durationMs: Infinity }]

/**
 * Parses `1000` (per second, for ever), `500..5000/60s` (a ramp), `200:30s,2000:10s` (steps) and `max`; numbers take
 * k and m. Throws `usage` for anything else, and for a schedule in which nothing would ever be sent.
 */
export function parseRate(text: string): RateShape {
  const trimmed = text.trim()
  if (trimmed === 'max') return 'max'
  if (trimmed.includes('..')) return [parseRamp(trimmed)]
  if (trimmed.includes(':')) return someRate(trimmed, trimmed.split(',').map(parseStep))
  return someRate(trimmed, constantRate(parsePerSecond(trimmed)) as readonly RateSegment[])
}

function parseRamp(text: string): RateSegment {
  const [, from, to, over] = /^(.+?)\.\.(.+?)\/(.+)$/.exec(text) ?? []
  if (from === undefined || to === undefined || over === undefined) {
    throw refused(text, 'a ramp is FROM..TO/DURATION')
  }
  const ramp = { from: parsePerSecond(from), to: parsePerSecond(to), durationMs: parseSpan(text, over) }
  someRate(text, [ramp])
  return ramp
}

function parseStep(step: string): RateSegment {
  const [, rate, length] = /^([^:]+):([^:]+)$/.exec(step.trim()) ?? []
  if (rate === undefined || length === undefined) throw refused(step, 'a step is RATE:DURATION')
  const perSecond = parsePerSecond(rate)
  return { from: perSecond, to: perSecond, durationMs: parseSpan(step, length) }
}

const multipliers: Readonly<Record<string, number>> = { '': 1, k: 1_000, m: 1_000_000 }

function parsePerSecond(text: string): number {
  const [, digits, unit = ''] = /^(-?\d+(?:\.\d+)?)([km]?)$/i.exec(text.trim()) ?? []
  if (digits === undefined) throw refused(text, 'not a number of events per second')
  const perSecond = Number(digits) * (multipliers[unit.toLowerCase()] ?? 1)
  if (perSecond < 0) throw refused(text, 'a rate cannot be negative')
  return perSecond
}

function parseSpan(text: string, span: string): number {
  const durationMs = parseDuration(span)
  if (!(durationMs > 0)) throw refused(text, 'a stretch of the schedule must last longer than 0')
  return durationMs
}

function someRate(text: string, segments: readonly RateSegment[]): readonly RateSegment[] {
  if (segments.some((segment) => segment.from > 0 || segment.to > 0)) return segments
  throw refused(text, 'at this rate nothing would ever be sent')
}

const refused = (text: string, reason: string) =>
  new EvtError('usage', `cannot use rate '${text.trim()}': ${reason}`, { hint: examples })
