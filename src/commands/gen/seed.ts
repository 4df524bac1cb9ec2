import { randomInt } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import type { Runtime } from '../runtime.ts'
import type { GenOptions } from './source.ts'

/** Told, so that the run can be had again. */
export function newSeed({ output }: Runtime): number {
  const seed = randomInt(2 ** 31)
  output.detail(`seed ${seed}`)
  return seed
}

const fixedStart = Date.UTC(2026, 0, 1)

/** Time of the first event. */
export function startOf({ at, seed, dryRun }: GenOptions, nowMs: number): number {
  if (at === undefined) return seed !== undefined && dryRun ? fixedStart : nowMs
  if (at === 'now') return nowMs
  if (typeof at === 'object' && 'timeMs' in at) return at.timeMs
  throw new EvtError('usage', 'cannot use --at: it needs a time', { hint: '--at 2026-01-01T00:00:00Z' })
}
