import type { Instant } from './instant.ts'

/** What `--since` and `--until` leave between them. */
export interface Range {
  readonly since?: Instant | undefined
  readonly until?: Instant | undefined
}

/** `--since` lies behind `--until`: nothing can be in it. */
export function isReversed({ since, until }: Range, nowMs: number): boolean {
  if (since === undefined || until === undefined) return false
  const [from, to] = [timeOf(since, nowMs), timeOf(until, nowMs)]
  if (from !== undefined && to !== undefined) return from > to
  if (!isPosition(since) || !isPosition(until)) return false
  const [first, last] = [since.position, until.position]
  return isNumber(first) && isNumber(last) && BigInt(first) > BigInt(last)
}

const isNumber = (text: string): boolean => /^\d+$/.test(text)

/** `between 2026-01-02T03:04:05.678Z and position 5`. */
export function renderRange({ since, until }: Range, nowMs: number): string {
  if (since !== undefined && until !== undefined) return `between ${nameOf(since, nowMs)} and ${nameOf(until, nowMs)}`
  return since === undefined ? `before ${nameOf(until ?? 'now', nowMs)}` : `after ${nameOf(since, nowMs)}`
}

export const isPosition = (instant: Instant): instant is { readonly position: string } =>
  typeof instant === 'object' && 'position' in instant

function timeOf(instant: Instant, nowMs: number): number | undefined {
  if (instant === 'start') return Number.NEGATIVE_INFINITY
  if (instant === 'now') return nowMs
  return 'timeMs' in instant ? instant.timeMs : undefined
}

/** `2026-01-02T03:04:05.678Z`, `position 5`, `the start`. */
export function nameOf(instant: Instant, nowMs: number): string {
  if (instant === 'start') return 'the start'
  if (isPosition(instant)) return `position ${instant.position}`
  return new Date(timeOf(instant, nowMs) as number).toISOString()
}
