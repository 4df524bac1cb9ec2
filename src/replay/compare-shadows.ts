import type { ShadowedEvent } from './shadow.ts'

/** One event that two builds of a handler treat differently. */
export interface Difference {
  readonly handler: string
  readonly position: string
  readonly type: string
  readonly subject: string | null
  /** Tables whose rows differ, `published`, `error`, `outside`; `missing` when only one of them got the event. */
  readonly where: readonly string[]
  readonly here: ShadowedEvent | undefined
  readonly there: ShadowedEvent | undefined
}

/** When both ran: times within are taken for "now" and do not count. */
export interface RunWindow {
  readonly fromMs: number
  readonly toMs: number
}

/** In the order of the log. */
export function compareShadows(
  here: readonly ShadowedEvent[],
  there: readonly ShadowedEvent[],
  window: RunWindow,
): readonly Difference[] {
  const keyOf = ({ handler, position }: ShadowedEvent) => `${position} ${handler}`
  const others = new Map(there.map((event) => [keyOf(event), event]))
  const found: Difference[] = []
  for (const event of here) {
    const other = others.get(keyOf(event))
    others.delete(keyOf(event))
    const where = other ? differing(event, other, window) : ['missing']
    if (where.length > 0) found.push({ ...factsOf(event), where, here: event, there: other })
  }
  for (const other of others.values())
    found.push({ ...factsOf(other), where: ['missing'], here: undefined, there: other })
  return found.sort((a, b) => Number(a.position) - Number(b.position))
}

const factsOf = ({ handler, position, type, subject }: ShadowedEvent) => ({ handler, position, type, subject })

function differing(a: ShadowedEvent, b: ShadowedEvent, window: RunWindow): readonly string[] {
  const text = (value: unknown) => JSON.stringify(value, (_key, inner) => neutral(inner, window)) ?? ''
  const tables = new Set([...a.rows, ...b.rows].map(({ table }) => table))
  const of = (event: ShadowedEvent, table: string) => event.rows.filter((row) => row.table === table)
  return [
    ...[...tables].filter((table) => text(of(a, table)) !== text(of(b, table))),
    ...(text(a.unseen) === text(b.unseen) ? [] : ['unseen']),
    ...(text(a.published) === text(b.published) ? [] : ['published']),
    ...(a.error === b.error ? [] : ['error']),
    ...(text(a.outside) === text(b.outside) ? [] : ['outside']),
  ]
}

const timeLike = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/

function neutral(value: unknown, { fromMs, toMs }: RunWindow): unknown {
  if (typeof value !== 'string' || !timeLike.test(value)) return value
  const ms = Date.parse(value)
  return ms >= fromMs && ms <= toMs ? '(now)' : value
}
