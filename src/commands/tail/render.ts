import { formatAttributes, formatCloudEvent } from '../../core/codec.ts'
import { formatJson, parseExactly } from '../../core/json-text.ts'
import type { Masker } from '../../core/masker.ts'
import { typeText, visible } from '../../core/visible.ts'
import { colorOf, type Paint } from '../../output/paint.ts'
import { cut } from '../../output/table.ts'
import type { Seen } from './source.ts'
import { renderStages } from './stages.ts'

export interface LineOptions {
  readonly format: 'text' | 'ndjson' | 'json' | 'none'
  readonly paint: Paint
  /** Cut to this width; undefined where nobody counts columns. */
  readonly width: number | undefined
  readonly data: boolean
  readonly wide: boolean
  readonly fields: readonly string[]
  readonly raw: boolean
  readonly include: readonly RegExp[]
  readonly exclude: readonly RegExp[]
  readonly highlight: readonly RegExp[]
  /** Several sources or topics: each line says which one. */
  readonly badge: boolean
  /** Hides sensitive fields, before anything looks at the line. */
  readonly masker?: Masker | undefined
  /** A second line: the dialect, and why that one. */
  readonly explain: boolean
  now(): number
}

/** One line for one event; undefined when --include or --exclude leaves it out. */
export type Render = (seen: Seen) => string | undefined

export function createRender(options: LineOptions): Render {
  const { include, exclude, highlight, paint } = options
  const plain = options.format === 'text' ? textLine(options) : jsonLine(options)
  const lit = [...include, ...highlight].map((regex) => new RegExp(regex.source, `${regex.flags}g`))
  return (given) => {
    const seen = masked(given, options.masker)
    const line = plain(seen)
    if (include.length > 0 && !include.some((regex) => regex.test(line))) return undefined
    if (exclude.some((regex) => regex.test(line))) return undefined
    if (options.format !== 'text') return line
    const shortened = (text: string) => (options.width && !options.data ? cut(text, options.width) : text)
    const short = shortened(line)
    const bright = lit.length > 0 ? painted(short, lit, paint) : short
    const first = bright === short ? coloured(short, seen, options) : bright
    if (!options.explain) return first
    return `${first}\n${paint('dim', shortened(`    ${visible(`${seen.evt.dialect ?? '?'}: ${seen.evt.because ?? '?'}`)}`))}`
  }
}

function masked(seen: Seen, masker: Masker | undefined): Seen {
  const dataText = masker ? masker.text(seen.event, seen.dataText) : seen.dataText
  return dataText === seen.dataText ? seen : { ...seen, dataText }
}

function jsonLine({ fields }: LineOptions): (seen: Seen) => string {
  if (fields.length > 0) {
    return (seen) => {
      const values = valuesAt(seen, fields)
      return formatJson(Object.fromEntries(fields.map((path, i) => [path, values[i] ?? null])))
    }
  }
  return ({ event, attributes, dataText, evt }) =>
    attributes ? formatAttributes(attributes, { dataText, evt }) : formatCloudEvent(event, { dataText, evt })
}

/**
 * `10:00:00.000  user.created  user/1  {"plan":"pro"}`, with its date when it is not of today; of what cannot be decoded, the time of its recording, its id and
 * position, and what is wrong.
 */
function textLine({ fields, wide, raw, badge, now }: LineOptions): (seen: Seen) => string {
  const shown = raw ? (text: string) => text : visible
  if (fields.length > 0)
    return (seen) =>
      valuesAt(seen, fields)
        .map((value) => shown(fieldText(value)))
        .join('\t')
  return (seen) => {
    const { event, evt, dataText } = seen
    const parts = [timeText(event.time, now()), shown(typeText(event.type)), shown(event.subject ?? '-')]
    if (badge) parts.unshift(visible(badgeOf(seen)))
    if (evt.error !== undefined) parts.push(shown(`id=${event.id} position=${evt.position ?? '?'}  ${evt.error}`))
    else if (wide) parts.push(shown(wideText(seen)))
    if (evt.stages) parts.push(shown(renderStages(evt.stages)))
    parts.push(shown(evt.tombstone ? `(tombstone of ${evt.key ?? 'no key'})` : dataText))
    return parts.join('  ')
  }
}

/** Both in UTC. */
function timeText(time: string, nowMs: number): string {
  const isToday = Math.floor(Date.parse(time) / dayMs) === Math.floor(nowMs / dayMs)
  return isToday ? time.slice(11, 23) : time.slice(0, 23).replace('T', ' ')
}

const dayMs = 86_400_000

function wideText({ event, evt }: Seen): string {
  const facts: Record<string, unknown> = {
    id: event.id,
    v: event.version,
    position: evt.position,
    source: event.source,
    seq: event.sequence,
    tenant: event.tenant,
    correlation: event.correlationId,
    priority: event.priority === 'normal' ? undefined : event.priority,
  }
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

const fieldText = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined ? '-' : formatJson(value)

/** What stands at `data.user.plan`, `evt.position`, `type`; numbers of the data keep their digits. */
function valuesAt({ event, evt, dataText }: Seen, paths: readonly string[]): readonly unknown[] {
  const inData = paths.some((path) => path === 'data' || path.startsWith('data.'))
  const data = inData ? parseExactly(dataText) : undefined
  return paths.map((path) => {
    const names = path.split('.')
    if (names[0] === 'data') return valueIn(data, names.slice(1))
    return names[0] === 'evt' ? valueIn(evt, names.slice(1)) : valueIn(event, names)
  })
}

function valueIn(root: unknown, names: readonly string[]): unknown {
  let value = root
  for (const name of names) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

const shortNames: Readonly<Record<string, string>> = { postgres: 'pg', rabbitmq: 'rabbit' }

/** `[redis user.events]`: said in words, so that no colour has to. */
const badgeOf = ({ evt }: Seen): string => `[${shortNames[evt.transport] ?? evt.transport} ${evt.topic}]`

/** The badge in the colour of its topic, the type in its own, what is between and after them faint. */
function coloured(line: string, seen: Seen, { badge, paint }: LineOptions): string {
  const name = badge ? visible(badgeOf(seen)) : ''
  if (name !== '' && line.startsWith(name))
    return paint(colorOf(seen.evt.topic), name) + typeColoured(line.slice(name.length), seen, paint)
  return typeColoured(line, seen, paint)
}

function typeColoured(line: string, { event }: Seen, paint: Paint): string {
  const type = visible(typeText(event.type))
  const at = line.indexOf(type)
  if (at < 0) return line
  return `${paint('dim', line.slice(0, at))}${paint(colorOf(event.type), type)}${line.slice(at + type.length)}`
}

function painted(line: string, lit: readonly RegExp[], paint: Paint): string {
  return lit.reduce(
    (text, regex) => text.replace(regex, (match) => (match === '' ? '' : paint(['bold', 'red'], match))),
    line,
  )
}
