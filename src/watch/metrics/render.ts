import { EvtError } from '../../core/errors.ts'
import type { Labels, MetricFamily } from './family.ts'

const metricFormats = ['prometheus', 'influx'] as const
type MetricFormat = (typeof metricFormats)[number]

export interface RenderedMetrics {
  readonly contentType: string
  readonly text: string
}

/** What `?format=` and `Accept` ask for; Prometheus' text unless they say otherwise. Throws EvtError('usage'). */
export function formatOf({ accept, format }: { readonly accept?: string; readonly format?: string }): MetricFormat {
  if (format === undefined) return accept?.includes('influx') ? 'influx' : 'prometheus'
  const found = metricFormats.find((known) => known === format)
  if (found) return found
  throw new EvtError('usage', `cannot show metrics as ${JSON.stringify(format)}: it is neither prometheus nor influx`)
}

/** Prometheus' text format 0.0.4. Families without a value are left out. */
export function renderPrometheus(families: readonly MetricFamily[]): RenderedMetrics {
  const texts = families
    .filter(({ values }) => values.length > 0)
    .map(({ name, help, type, values }) =>
      [
        `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
        `# TYPE ${name} ${type}`,
        ...values.map(
          ({ metricName = name, labels, value }) => `${metricName}${labelText(labels)} ${numberText(value)}`,
        ),
      ].join('\n'),
    )
  return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: `${texts.join('\n')}\n` }
}

function labelText(labels: Labels): string {
  const all = Object.entries(labels)
  if (all.length === 0) return ''
  const escaped = (text: string) => String(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `{${all.map(([name, text]) => `${name}="${escaped(text)}"`).join(',')}}`
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (Number.isFinite(value)) return String(value)
  return value > 0 ? '+Inf' : '-Inf'
}

/** InfluxDB's line protocol: a line a value, without a time: the server takes the moment that it reads them. */
export function renderInflux(families: readonly MetricFamily[], tags: Labels): RenderedMetrics {
  const lines = families.flatMap(({ name, values }) =>
    values
      .filter(({ value }) => Number.isFinite(value))
      .map(
        ({ metricName = name, labels, value }) =>
          `${escapedTag(metricName)}${tagText({ ...tags, ...labels })} value=${value}`,
      ),
  )
  return { contentType: 'text/plain; charset=utf-8', text: `${lines.join('\n')}\n` }
}

/** Tags in the order of their names, as the server likes them; an empty one is none, and a line break would end the line. */
function tagText(tags: Labels): string {
  return Object.entries(tags)
    .filter(([, text]) => text !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `,${escapedTag(name)}=${escapedTag(text)}`)
    .join('')
}

const escapedTag = (text: string) =>
  String(text)
    .replaceAll(/[\r\n]+/g, ' ')
    .replaceAll(/[,= \\]/g, (mark) => `\\${mark}`)
