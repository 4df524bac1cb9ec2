import type { AlertConfig } from '../../core/alerts/resolve-alerts.ts'
import { formatAge } from '../../core/duration.ts'
import type { AlertRow } from '../../store/alerts.ts'

/** Something that a rule's condition holds for. */
export interface Active {
  readonly value: number | null
  readonly says: string
}

export interface Told {
  readonly kind: 'raised' | 'resolved' | 'repeated'
  readonly row: AlertRow
  readonly rule: Pick<AlertConfig, 'to'>
}

export interface Transitions {
  readonly put: readonly AlertRow[]
  /** Pending ones whose condition has ended: they were never told. */
  readonly dropped: readonly Pick<AlertRow, 'alert' | 'key'>[]
  readonly told: readonly Told[]
}

export interface RuleState {
  readonly rule: AlertConfig
  readonly rows: readonly AlertRow[]
  readonly active: ReadonlyMap<string, Active>
  /** False: too little is known to say that anything is over. */
  readonly isSure: boolean
  readonly nowMs: number
}

/** What was measured then is no value of now. */
const overAfter = ({ sinceMs, says }: AlertRow, nowMs: number): string =>
  `over after ${formatAge(Math.max(0, nowMs - sinceMs))}; it was: ${says}`

/** pending → firing → resolved, for each key of one rule. Pure. */
export function transitionsOf({ rule, rows, active, isSure, nowMs }: RuleState): Transitions {
  const put: AlertRow[] = []
  const dropped: AlertRow[] = []
  const told: Told[] = []
  const known = new Map(rows.map((row) => [row.key, row]))
  for (const [key, { value, says }] of active) {
    const before = known.get(key)
    const goesOn = before !== undefined && before.state !== 'resolved'
    const sinceMs = goesOn ? before.sinceMs : nowMs
    const isFiring = (goesOn && before.state === 'firing') || nowMs - sinceMs >= rule.forMs
    const isNew = isFiring && !(goesOn && before.state === 'firing')
    const isDue = isFiring && !isNew && nowMs - (before?.toldMs ?? 0) >= rule.repeatMs
    const row: AlertRow = {
      alert: rule.name,
      key,
      severity: rule.severity,
      state: isFiring ? 'firing' : 'pending',
      sinceMs,
      firedMs: isNew ? nowMs : goesOn ? before.firedMs : null,
      resolvedMs: null,
      toldMs: isNew || isDue ? nowMs : goesOn ? before.toldMs : null,
      value,
      says,
    }
    put.push(row)
    if (isNew || isDue) told.push({ kind: isNew ? 'raised' : 'repeated', row, rule })
  }
  for (const row of rows) {
    if (active.has(row.key) || row.state === 'resolved' || !isSure) continue
    if (row.state === 'pending') dropped.push(row)
    else {
      const resolved: AlertRow = { ...row, state: 'resolved', resolvedMs: nowMs, toldMs: nowMs }
      put.push(resolved)
      told.push({ kind: 'resolved', row: { ...resolved, value: null, says: overAfter(row, nowMs) }, rule })
    }
  }
  return { put, dropped, told }
}
