import type { EvtEvent } from '../../core/event.ts'
import { emptySample, type FieldStats, type IsMarked, newStats, type Sample, sample, see } from './field-stats.ts'

/** What recorded traffic was like: how much of what, how often, about how many, with which values. */
export interface Profile {
  readonly events: number
  readonly types: ReadonlyMap<string, TypeProfile>
  /** Ms from one event to the next. */
  readonly gaps: Sample
  readonly meanGapMs: number
  /** Exponent of Zipf's law over subjects: 0 where all are as busy. */
  readonly skew: number
  readonly subjects: number
}

export interface TypeProfile {
  readonly count: number
  readonly version: number
  readonly data: FieldStats
  /** Some of them were about a subject of which nothing had been said before; true where there are no subjects. */
  readonly opensSubjects: boolean
}

export interface Learner {
  see(event: EvtEvent, recordedMs: number): void
  profile(): Profile
}

/** Subjects that are counted; of later ones only that they are. */
const mostSubjects = 100_000

/** `isMarked` are the fields that contracts call sensitive. */
export function createLearner(isMarked: (type: string, path: string) => boolean = () => false): Learner {
  const types = new Map<
    string,
    { count: number; version: number; opensSubjects: boolean; readonly data: FieldStats; readonly marked: IsMarked }
  >()
  const subjects = new Map<string, number>()
  const gaps = emptySample()
  let [events, firstMs, lastMs] = [0, Number.NaN, Number.NaN]
  return {
    see({ type, version, data, subject }, recordedMs) {
      const known = types.get(type) ?? {
        count: 0,
        version,
        opensSubjects: false,
        data: newStats(''),
        marked: (path: string) => isMarked(type, path),
      }
      types.set(type, known)
      known.count += 1
      known.version = Math.max(known.version, version)
      see(known.data, data, '', known.marked)
      known.opensSubjects ||= subject === undefined || (!subjects.has(subject) && subjects.size < mostSubjects)
      if (subject !== undefined && (subjects.has(subject) || subjects.size < mostSubjects)) {
        subjects.set(subject, (subjects.get(subject) ?? 0) + 1)
      }
      if (events > 0) sample(gaps, Math.max(0, recordedMs - lastMs))
      else firstMs = recordedMs
      events += 1
      lastMs = Math.max(recordedMs, Number.isNaN(lastMs) ? recordedMs : lastMs)
    },
    profile: () => ({
      events,
      types: new Map([...types].sort(([a], [b]) => (a < b ? -1 : 1))),
      gaps,
      meanGapMs: events > 1 ? (lastMs - firstMs) / (events - 1) : 0,
      skew: skewOf([...subjects.values()]),
      subjects: subjects.size,
    }),
  }
}

/** Slope of counts over ranks, both as logarithms, by least squares in which each event counts: the tail is long, and says little. */
function skewOf(counts: readonly number[]): number {
  const ranked = counts.toSorted((a, b) => b - a).slice(0, 1_000)
  if (ranked.length < 5) return 1
  const points = ranked.map((weight, i) => ({ weight, x: Math.log(i + 1), y: Math.log(weight) }))
  const sum = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((all, point) => all + point.weight * of(point), 0)
  const all = sum(() => 1)
  const [x, y] = [sum((point) => point.x) / all, sum((point) => point.y) / all]
  const over = sum((point) => (point.x - x) * (point.y - y))
  return Math.min(2, Math.max(0, -over / sum((point) => (point.x - x) ** 2)))
}
