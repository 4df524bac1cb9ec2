import { formatCloudEvent } from '../../core/codec.ts'
import { visible } from '../../core/visible.ts'
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
  if (fields.length > 0)
    return (seen) => JSON.stringify(Object.fromEntries(fields.map((path) => [path, valueAt(seen, path) ?? null])))
  return ({ event, dataText, evt }) => formatCloudEvent(event, { dataText, evt })
}

/** `10:00:00.000  user.created  user/1  {"plan":"pro"}`. */
function textLine({ fields, wide, raw, badge }: LineOptions): (seen: Seen) => string {
  const shown = raw ? (text: string) => text : visible
  if (fields.length > 0) return (seen) => fields.map((path) => shown(fieldText(seen, path))).join('\t')
  return (seen) => {
    const { event, evt, dataText } = seen
    const parts = [event.time.slice(11, 23), shown(event.type), shown(event.subject ?? '-')]
    if (badge) parts.unshift(shown(`[${evt.transport} ${evt.topic}]`))
    if (wide) parts.push(shown(wideText(seen)))
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

const fieldText = (seen: Seen, path: string): string => {
  const value = valueAt(seen, path)
  return typeof value === 'string' ? value : value === undefined ? '-' : (JSON.stringify(value) ?? '-')
}

/** `data.user.plan`, `evt.position`, `type`. */
function valueAt({ event, evt }: Seen, path: string): unknown {
  let value: unknown = { evt, event }
  for (const name of path.startsWith('evt.') ? path.split('.') : ['event', ...path.split('.')]) {
    if (typeof value !== 'object' || value === null) return undefined
    const own = name === 'data' || Object.hasOwn(value, name)
    value = own ? (value as Record<string, unknown>)[name] : undefined
  }
  return value
}

/** The type in its own colour, what is before and after it faint. */
function coloured(line: string, { event }: Seen, paint: Paint): string {
  const type = visible(event.type)
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
