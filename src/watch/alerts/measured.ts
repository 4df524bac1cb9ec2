import type { MetricTest } from '../../core/alerts/resolve-alerts.ts'
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

/** For which handler, sink or bridge the expression holds; '' for the whole. */
export function measuredActive({ where, each, shown }: MetricTest, facts: MeasuredFacts): ReadonlyMap<string, Active> {
  const whole = { store: facts.store, dead: facts.dead, events: facts.events }
  const all: readonly (readonly [string, object])[] =
    each === undefined
      ? [['', whole]]
      : facts[each].map((one: Facts) => [String(one.name), { ...whole, [each]: one }] as const)
  const holding = all.filter(([, subject]) => where.test(subject))
  return new Map(holding.map(([key, subject]) => [key, activeOf(subject, shown)]))
}

function activeOf(subject: object, shown: readonly string[]): Active {
  const [root = '', fact = ''] = shown
  const value = (subject as Record<string, Facts>)[root]?.[fact] ?? null
  const says = `${shown.join('.')} is ${typeof value === 'number' ? Math.round(value * 100) / 100 : value}`
  return { value: typeof value === 'number' ? value : null, says }
}
