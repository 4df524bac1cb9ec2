import { compilePattern } from '../core/pattern.ts'
import type { TypeClass } from '../core/retention.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** The rules in their order. */
export async function readTypeClasses(sql: SqlExecutor): Promise<readonly TypeClass[]> {
  const { rows } = await sql.query('select pattern, class from evt.type_rules()')
  return rows.map((row) => ({ pattern: String(row.pattern), class: String(row.class) }))
}

/** What `evt.class_of` says, for who writes rows by COPY. */
export function classifier(rules: readonly TypeClass[]): (type: string) => string {
  const compiled = rules.map((rule) => ({ ...rule, pattern: compilePattern(rule.pattern) }))
  return (type) => compiled.find(({ pattern }) => pattern.matches(type))?.class ?? 'default'
}
