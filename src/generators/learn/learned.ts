import type { z } from 'zod'
import type { Contract } from '../../core/contract.ts'
import { defineEvent } from '../../core/define-event.ts'
import { createRandom } from '../../core/random.ts'
import type { Registry } from '../../core/registry.ts'
import type { Moment } from '../moment.ts'
import { loadPools } from '../pools.ts'
import type { Draw } from '../values.ts'
import type { FieldStats, Sample } from './field-stats.ts'
import { choicesOf, inferShape } from './infer-shape.ts'
import { schemaOf } from './inferred-schema.ts'
import type { Profile } from './profile.ts'
import { isContractType, latestOf } from './write-contracts.ts'

/** How values, presence and busy subjects of recorded traffic are drawn anew. */
export interface Learned {
  /** Undefined where the contract's own way is as good: ids, times, addresses. */
  draw(type: string, path: string): Draw | undefined
  /** Share of events that have the field. */
  presence(type: string, path: string): number | undefined
  readonly skew: number
  /** Events of `type` were about things of which nothing had been said: they were there before the recording. */
  startsInTheMiddle(type: string): boolean
}

export function learnedFrom(profile: Profile): Learned {
  const statsAt = (type: string, path: string): FieldStats | undefined => {
    let stats = profile.types.get(type)?.data
    for (const part of path.split('.')) {
      const [name = '', ...items] = part.split('[]')
      stats = stats?.fields?.members.get(name)
      for (const _ of items) stats = stats?.items?.stats
    }
    return stats
  }
  return {
    skew: profile.skew,
    startsInTheMiddle: (type) => profile.types.get(type)?.opensSubjects ?? true,
    draw: (type, path) => {
      const stats = statsAt(type, path)
      return stats && drawOf(stats)
    },
    presence(type, path) {
      const stats = statsAt(type, path)
      const holder = path.includes('.')
        ? statsAt(type, path.split('.').slice(0, -1).join('.'))
        : profile.types.get(type)?.data
      return holder?.fields ? (stats?.seen ?? 0) / holder.fields.count : undefined
    },
  }
}

/** Contracts of the types that no service knows, as their traffic suggests. */
export const inferredContracts = ({ types }: Profile, registry: Registry): readonly Contract[] =>
  [...types].flatMap(([type, { data, version }]) =>
    registry.get(type) || !isContractType(type) || !data.fields
      ? []
      : [contractOf(type, version, schemaOf(inferShape(data)))],
  )

/** Every version from 1 has the schema that fits all that was recorded. */
function contractOf(type: string, version: number, schema: z.ZodType): Contract {
  const later = Array.from(
    { length: latestOf(version) - 1 },
    (_, i) => [i + 2, { schema, upcast: (data: unknown) => data }] as const,
  )
  return defineEvent(type, { ...Object.fromEntries(later), 1: schema })
}

/** Due times with the gaps of the recording, shortened by `speed`; the same for the same seed. */
export function learnedSchedule({ gaps, meanGapMs }: Profile, seed: number, speed: number) {
  const random = createRandom(seed ^ 0x6a95)
  const due = [0]
  const sum = gaps.values.reduce((all, gap) => all + gap, 0)
  // The sample's mean is not quite that of all.
  const scale = sum > 0 ? (meanGapMs * gaps.values.length) / sum / speed : 0
  return {
    at(k: number): number {
      while (due.length <= k)
        due.push((due.at(-1) ?? 0) + scale * (gaps.values[Math.floor(random() * gaps.values.length)] ?? 0))
      return due[k] ?? 0
    },
  }
}

function drawOf(stats: FieldStats): Draw | undefined {
  const { texts, numbers, booleans, items, fields, nulls, seen, isSensitive } = stats
  const kinds = [texts, numbers, items, fields].filter((one) => one !== undefined).length
  const flags = booleans.yes + booleans.no
  if (kinds + Number(flags > 0) !== 1 || items || fields) return undefined
  const draw = texts ? drawText(texts, isSensitive) : numbers && !isSensitive ? drawNumber(numbers) : drawFlag(booleans)
  if (!draw || nulls === 0) return draw
  return (moment) => (moment.random() < nulls / seen ? null : draw(moment))
}

function drawFlag({ yes, no }: FieldStats['booleans']): Draw | undefined {
  return yes + no === 0 ? undefined : (moment) => moment.random() * (yes + no) < yes
}

function drawText(texts: NonNullable<FieldStats['texts']>, isSensitive: boolean): Draw | undefined {
  if (isSensitive || texts.formats.size > 0) return undefined
  const choices = choicesOf(texts)
  if (choices) return drawChoice(choices)
  // Names and ids follow from the field's name; long texts are as long as they were.
  return texts.lengths.values.some((length) => length > longText) ? drawLength(texts.lengths) : undefined
}

const longText = 80

function drawChoice(choices: ReadonlyMap<string, number>): Draw {
  const values = [...choices.keys()]
  const sum = [...choices.values()].reduce((all, count) => all + count, 0)
  let so = 0
  const bounds = [...choices.values()].map((count) => {
    so += count
    return so
  })
  return (moment) => {
    const drawn = moment.random() * sum
    return values[bounds.findIndex((bound) => drawn < bound)]
  }
}

function drawLength({ values }: Sample): Draw {
  const { sentence } = loadPools()
  return (moment) => {
    const length = values[moment.below(values.length)] ?? 0
    let text = ''
    while (text.length < length) text += `${text === '' ? '' : ' '}${sentence[moment.below(sentence.length)]}`
    return text.slice(0, length)
  }
}

/** Between neighbours of the sorted sample, so that no value need be one that was there. */
function drawNumber({ sample, integers }: NonNullable<FieldStats['numbers']>): Draw {
  const sorted = sample.values.toSorted((a, b) => a - b)
  const distinct = new Set(sorted)
  const isFew = distinct.size <= 16
  return (moment: Moment) => {
    const place = moment.random() * sorted.length
    const low = sorted[Math.floor(place)] as number
    if (isFew) return low
    const high = sorted[Math.min(sorted.length - 1, Math.floor(place) + 1)] as number
    const value = low + (high - low) * (place % 1)
    return integers ? Math.round(value) : Number(value.toFixed(2))
  }
}
