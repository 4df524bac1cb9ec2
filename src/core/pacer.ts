import { type Arrival, createArrivalMass } from './arrival.ts'
import type { RateSegment, RateShape } from './rate.ts'

export interface ScheduleOptions {
  readonly shape: RateShape
  /** Default uniform. */
  readonly arrival?: Arrival
  /** For arrivals that are random. Default 1. */
  readonly seed?: number
}

/**
 * When every event is due, decided before the first one is sent. A sender that is late sends event k at once and keeps
 * `at(k)` as its intended time; it never shifts the rest.
 */
export interface Schedule {
  /** Due time of event k (0, 1, …), ms after the start. Never falls as k grows; Infinity past the end of the shape. */
  at(k: number): number
  /** False for `max`: then every event is due at once, and the sender's own window sets the pace. */
  readonly paced: boolean
  /** Length of a shape that ends by itself, ms. */
  readonly durationMs?: number
  /** How many events such a shape has. */
  readonly total?: number
}

/** Pure in its options: any thread or machine computes the same schedule, or its own share of it. */
export function createSchedule({ shape, arrival = { kind: 'uniform' }, seed = 1 }: ScheduleOptions): Schedule {
  if (shape === 'max') return { at: () => 0, paced: false }
  const mass = createArrivalMass(arrival, seed)
  const stretches = layOut(shape)
  const at = (k: number) => timeOfMass(stretches, mass(k))
  const durationMs = shape.reduce((sum, segment) => sum + segment.durationMs, 0)
  if (durationMs === Infinity) return { at, paced: true }
  return { at, paced: true, durationMs, total: countDue({ at, paced: true }, durationMs) }
}

/** How many events of a paced schedule are due before `ms`. */
export function countDue(schedule: Schedule, ms: number): number {
  let above = 1
  while (schedule.at(above - 1) < ms) above *= 2
  let [low, high] = [0, above]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (schedule.at(middle) < ms) low = middle + 1
    else high = middle
  }
  return low
}

interface Stretch extends RateSegment {
  readonly startMs: number
  readonly startMass: number
  readonly mass: number
}

function layOut(segments: readonly RateSegment[]): readonly Stretch[] {
  let [startMs, startMass] = [0, 0]
  return segments.map((segment) => {
    const mass = (((segment.from + segment.to) / 2) * segment.durationMs) / 1_000
    const stretch = { ...segment, startMs, startMass, mass: Number.isNaN(mass) ? 0 : mass }
    startMs += segment.durationMs
    startMass += stretch.mass
    return stretch
  })
}

function timeOfMass(stretches: readonly Stretch[], mass: number): number {
  for (const stretch of stretches) {
    const inside = mass - stretch.startMass
    if (inside < stretch.mass) return stretch.startMs + timeWithin(stretch, inside)
  }
  return Infinity
}

/**
 * Solves `from·t + (to − from)·t² / 2D = mass` for t, in the form of the quadratic formula that does not cancel when
 * the slope is small.
 */
function timeWithin({ from, to, durationMs }: RateSegment, mass: number): number {
  if (mass <= 0) return 0
  if (from === to) return (mass / from) * 1_000
  const slope = (to - from) / (durationMs / 1_000)
  return ((2 * mass) / (from + Math.sqrt(Math.max(0, from * from + 2 * slope * mass)))) * 1_000
}
