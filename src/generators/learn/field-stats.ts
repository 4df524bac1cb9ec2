import { suspicionOfName, suspicionOfValue } from '../../core/detect.ts'
import { snakeCase } from '../snake-case.ts'

export const formats = ['uuid', 'email', 'date-time', 'date', 'ipv4', 'uri'] as const
export type Format = (typeof formats)[number]

/** What the values of one field looked like. Of personal and secret ones nothing is kept but their form. */
export interface FieldStats {
  seen: number
  nulls: number
  booleans: { readonly yes: number; readonly no: number }
  /** Counted by value as long as they are few; undefined once they are many, or nobody's business. */
  texts: { count: number; values: Map<string, number> | undefined; lengths: Sample; formats: Set<Format> } | undefined
  numbers: { count: number; integers: boolean; least: number; most: number; sample: Sample } | undefined
  items: { count: number; lengths: Sample; stats: FieldStats } | undefined
  fields: { count: number; members: Map<string, FieldStats> } | undefined
  /** Marked, or of a form that the detector knows. */
  isSensitive: boolean
  /** A person's, by its name. */
  readonly isPersonal: boolean
}

/** Some of the values, each as likely as any other. */
export interface Sample {
  readonly values: number[]
  seen: number
  state: number
}

const mostTexts = 64
const mostSampled = 512
const longestChoice = 60

export const emptySample = (): Sample => ({ values: [], seen: 0, state: 1 })

/** Vitter's algorithm R with a generator of its own: the same values give the same sample. */
export function sample(into: Sample, value: number): void {
  into.seen += 1
  if (into.values.length < mostSampled) {
    into.values.push(value)
    return
  }
  into.state = (Math.imul(into.state, 1_664_525) + 1_013_904_223) | 0
  const place = Math.floor(((into.state >>> 0) / 4_294_967_296) * into.seen)
  if (place < mostSampled) into.values[place] = value
}

/** Whose they are: such values are never repeated, whatever their form. */
const personal =
  /(^|_)(name|first_name|last_name|full_name|surname|given_name|family_name|username|login|street|address|birth|birthday|birth_date|ssn|ip|ip_address|token|secret|password|key|hash|signature|latitude|longitude)$/

export function newStats(name: string, isMarked = false): FieldStats {
  return {
    seen: 0,
    nulls: 0,
    booleans: { yes: 0, no: 0 },
    texts: undefined,
    numbers: undefined,
    items: undefined,
    fields: undefined,
    isSensitive: isMarked || suspicionOfName(name) !== undefined,
    isPersonal: personal.test(snakeCase(name)),
  }
}

export type IsMarked = (path: string) => boolean

/** `path` is that of the field, with `[]` for items. */
export function see(stats: FieldStats, value: unknown, path: string, isMarked: IsMarked): void {
  stats.seen += 1
  if (value === null) stats.nulls += 1
  else if (typeof value === 'boolean') stats.booleans = counted(stats.booleans, value)
  else if (typeof value === 'string') seeText(stats, value)
  else if (typeof value === 'number') seeNumber(stats, value)
  else if (Array.isArray(value)) seeItems(stats, value, path, isMarked)
  else if (typeof value === 'object') seeFields(stats, value as object, path, isMarked)
}

const counted = ({ yes, no }: FieldStats['booleans'], value: boolean) => ({
  yes: yes + Number(value),
  no: no + Number(!value),
})

function seeText(stats: FieldStats, value: string): void {
  const isHidden = stats.isSensitive || stats.isPersonal
  stats.texts ??= {
    count: 0,
    values: isHidden ? undefined : new Map(),
    lengths: emptySample(),
    formats: new Set(formats),
  }
  const { texts } = stats
  texts.count += 1
  sample(texts.lengths, value.length)
  for (const format of texts.formats) if (!forms[format].test(value)) texts.formats.delete(format)
  if (!texts.values) return
  if (suspicionOfValue(value) !== undefined) {
    texts.values = undefined
    stats.isSensitive = true
    return
  }
  texts.values.set(value, (texts.values.get(value) ?? 0) + 1)
  if (texts.values.size > mostTexts || value.length > longestChoice) texts.values = undefined
}

const forms: Readonly<Record<Format, RegExp>> = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i,
  email: /^[^\s@<>"]+@[\w-]+(\.[\w-]+)+$/,
  'date-time': /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/,
  date: /^\d{4}-[01]\d-[0-3]\d$/,
  ipv4: /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/,
  uri: /^[a-z][a-z0-9+.-]*:\/\/[^\s]+$/i,
}

function seeNumber(stats: FieldStats, value: number): void {
  stats.numbers ??= { count: 0, integers: true, least: value, most: value, sample: emptySample() }
  const { numbers } = stats
  numbers.count += 1
  numbers.integers &&= Number.isSafeInteger(value)
  numbers.least = Math.min(numbers.least, value)
  numbers.most = Math.max(numbers.most, value)
  if (!stats.isSensitive) sample(numbers.sample, value)
}

function seeItems(stats: FieldStats, values: readonly unknown[], path: string, isMarked: IsMarked): void {
  const name = path.split('.').at(-1) ?? ''
  stats.items ??= { count: 0, lengths: emptySample(), stats: newStats(name, stats.isSensitive) }
  stats.items.count += 1
  sample(stats.items.lengths, values.length)
  for (const value of values) see(stats.items.stats, value, `${path}[]`, isMarked)
}

function seeFields(stats: FieldStats, value: object, path: string, isMarked: IsMarked): void {
  stats.fields ??= { count: 0, members: new Map() }
  stats.fields.count += 1
  for (const [name, member] of Object.entries(value)) {
    const inner = path === '' ? name : `${path}.${name}`
    const known = stats.fields.members.get(name) ?? newStats(name, stats.isSensitive || isMarked(inner))
    stats.fields.members.set(name, known)
    see(known, member, inner, isMarked)
  }
}
