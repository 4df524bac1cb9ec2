import { compilePattern, patternExpression } from '../core/pattern.ts'
import type { RetentionPolicy, TypeClass } from '../core/retention.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { addCapture, listCaptures } from './capture.ts'
import type { Store } from './connection.ts'
import { readTypeClasses } from './type-classes.ts'

export interface AppliedRetention {
  /** Classes that are new or kept for another time now, with their days. */
  readonly days: Readonly<Record<string, number>>
  /** True when the rules are others than before. */
  readonly rules: boolean
  /** Captured tables that others hold: they go on by the former rules until they are captured again. */
  readonly waiting: readonly string[]
}

/**
 * Writes what the policy says into the store, and nothing when it says that already. Events are of the class that they were
 * written with: a change is for later ones. Safe to run by several processes.
 */
export async function applyRetention(store: Store, policy: RetentionPolicy): Promise<AppliedRetention> {
  const changed = await store.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.type_classes', 0))`)
    const days = await applyDays(sql, policy.days)
    const rules = policy.types !== undefined && (await applyRules(sql, policy.types))
    return { days, rules }
  })
  return { ...changed, waiting: changed.rules ? await captureAgain(store) : [] }
}

async function applyDays(sql: SqlExecutor, days: RetentionPolicy['days']): Promise<AppliedRetention['days']> {
  const { rows } = await sql.query(
    `with wanted as (select key as class, value::int as days from json_each_text($1)), before as (select class from evt.classes),
       kept as (
         insert into evt.classes (class, retention_days) select class, days from wanted
         on conflict (class) do update set retention_days = excluded.retention_days
           where classes.retention_days <> excluded.retention_days returning class, retention_days as days
       )
     select kept.class, kept.days, kept.class not in (select class from before) as new from kept order by class`,
    [JSON.stringify(days)],
  )
  if (rows.some((row) => row.new)) {
    await sql.query('select evt.make_partitions(evt.today() - 1, evt.today() + 14)')
    await sql.query('select evt.look_everywhere()')
  }
  return Object.fromEntries(rows.map((row) => [String(row.class), Number(row.days)]))
}

async function applyRules(sql: SqlExecutor, wanted: readonly TypeClass[]): Promise<boolean> {
  const same = JSON.stringify(await readTypeClasses(sql)) === JSON.stringify(wanted)
  if (same) return false
  const rules = wanted.map((rule) => {
    const { types } = compilePattern(rule.pattern)
    return types ? { ...rule, types } : { ...rule, expression: patternExpression(rule.pattern) }
  })
  await sql.query('select evt.set_type_classes($1)', [JSON.stringify(rules)])
  return true
}

/** Triggers write to the class that their types had when they were made. */
async function captureAgain(store: Store): Promise<readonly string[]> {
  const waiting: string[] = []
  for (const { schema, table, options, state } of await listCaptures(store)) {
    if (options.class !== undefined || state === 'missing') continue
    try {
      await addCapture(store, options)
    } catch {
      waiting.push(`${schema}.${table}`)
    }
  }
  return waiting
}
