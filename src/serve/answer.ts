import type { Outcome } from './ports.ts'

/**
 * 202 when every event is stored or was before; 207 when some are refused; 422 when all are, 413 when all are too large and 403 when all
 * are of types that the token has not. A list of one is a list.
 */
export function statusOf(outcomes: readonly Outcome[]): number {
  const codes = new Set(outcomes.map((one) => (one.outcome === 'refused' ? one.code : undefined)))
  if (!codes.has(undefined)) {
    if (codes.size > 1) return 422
    return codes.has('too-large') ? 413 : codes.has('refused') ? 403 : 422
  }
  return codes.size === 1 ? 202 : 207
}

export function answerOf(outcomes: readonly Outcome[]): object {
  const counts = { stored: 0, duplicate: 0, refused: 0 }
  for (const { outcome } of outcomes) counts[outcome] += 1
  return { ...counts, events: outcomes }
}
