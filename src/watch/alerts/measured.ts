import type { MetricTest } from '../../core/alerts/resolve-alerts.ts'
import { formatCount, formatSize } from '../../core/quantity.ts'
import type { Path } from '../../core/where/tree.ts'
import type { AlertRow } from '../../store/alerts.ts'
import type { Facts, MeasuredFacts } from './facts.ts'
import type { Active } from './transitions.ts'

/** More keys of one rule at once tell nobody more. */
const mostKeys = 100

/** So many of them, those first that are told of already: what only changes places is neither over nor new. */
export function mostOf(active: ReadonlyMap<string, Active>, rows: readonly AlertRow[]): ReadonlyMap<string, Active> {
  if (active.size <= mostKeys) return active
  const open = new Set(rows.map(({ key }) => key))
  const all = [...active]
  const first = all.filter(([key]) => open.has(key))
  return new Map([...first, ...all.filter(([key]) => !open.has(key))].slice(0, mostKeys))
}

/** For which handler, sink, saga or bridge the expression holds; '' for the whole. */
export function measuredActive(
  { where, each, reasons }: MetricTest,
  facts: MeasuredFacts,
): ReadonlyMap<string, Active> {
  const whole = { store: facts.store, dead: facts.dead, events: facts.events }
  const all: readonly (readonly [string, Subject])[] =
    each === undefined
      ? [['', whole]]
      : facts[each].map((one: Facts) => [String(one.name), { ...whole, [each]: one }] as const)
  const holding = all.filter(([, subject]) => where.test(subject))
  return new Map(holding.map(([key, subject]) => [key, activeOf(subject, reasons(subject))]))
}

type Subject = Readonly<Record<string, Facts>>

function activeOf(subject: Subject, paths: readonly Path[]): Active {
  const shown = new Map(paths.map(({ segments }) => [segments.join('.'), segments]))
  const read = ([root = '', fact = '']: readonly string[]) => subject[root]?.[fact] ?? null
  const [first] = shown.values()
  const value = first && read(first)
  const roots = new Set([...shown.values()].map(([root = '']) => root))
  const texts = [
    ...[...shown].map(([name, path]) => `${name} is ${textOf(name, read(path))}`),
    ...[...roots].flatMap((root) => subject[root]?.says ?? []),
  ]
  return { value: typeof value === 'number' ? value : null, says: texts.join(', ') }
}

function textOf(name: string, value: Facts[string]): string {
  if (typeof value !== 'number') return String(value)
  if (name.endsWith('Ms')) return `${formatCount(Math.round(value))} ms`
  return name.endsWith('Bytes') ? formatSize(value) : formatCount(Math.round(value * 100) / 100)
}
