import { formatAttributes, formatCloudEvent } from '../../core/codec.ts'
import { formatJson, parseExactly } from '../../core/json-text.ts'
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
  /** Several sources: each line says which one. */
  readonly badge: boolean
}

/** One line for one event; undefined when --include or --exclude leaves it out. */
export type Render = (seen: Seen) => string | undefined

export function createRender(options: LineOptions): Render {
  const { include, exclude, highlight, paint } = options
  const plain = options.format === 'text' ? textLine(options) : jsonLine(options)
  const lit = [...include, ...highlight].map((regex) => new RegExp(regex.source, `${regex.flags}g`))
  return (seen) => {
    const line = plain(seen)
    if (include.length > 0 && !include.some((regex) => regex.test(line))) return undefined
    if (exclude.some((regex) => regex.test(line))) return undefined
    if (options.format !== 'text') return line
    const short = options.width && !options.data ? cut(line, options.width) : line
    return lit.length > 0 && short === painted(short, lit, paint)
      ? coloured(short, seen, paint)
      : lit.length > 0
        ? painted(short, lit, paint)
        : coloured(short, seen, paint)
  }
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
 * `10:00:00.000  user.created  user/1  {"plan":"pro"}`; of what cannot be decoded, the time of its recording, its id and
 * position, and what is wrong.
 */
function textLine({ fields, wide, raw, badge }: LineOptions): (seen: Seen) => string {
  const shown = raw ? (text: string) => text : visible
  if (fields.length > 0)
    return (seen) =>
      valuesAt(seen, fields)
        .map((value) => shown(fieldText(value)))
        .join('\t')
  return (seen) => {
    const { event, evt, dataText } = seen
    const parts = [event.time.slice(11, 23), shown(typeText(event.type)), shown(event.subject ?? '-')]
    if (badge) parts.unshift(shown(`[${evt.transport} ${evt.topic}]`))
    if (evt.error !== undefined) parts.push(shown(`id=${event.id} position=${evt.position ?? '?'}  ${evt.error}`))
    else if (wide) parts.push(shown(wideText(seen)))
    if (evt.stages) parts.push(shown(renderStages(evt.stages)))
    parts.push(shown(dataText))
    return parts.join('  ')
  }
}

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

/** The type in its own colour, what is before and after it faint. */
function coloured(line: string, { event }: Seen, paint: Paint): string {
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
