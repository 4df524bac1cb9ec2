import { patternExpression } from '../core/pattern.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** Which types a role of the database may publish. */
export interface RoleRule {
  readonly role: string
  readonly patterns: readonly string[]
}

/** What of SQL's own writers is restricted; roles that are not named, here or by membership, may publish everything. */
export async function readRoleRules(sql: SqlExecutor): Promise<readonly RoleRule[]> {
  const { rows } = await sql.query('select role::text, patterns from evt.access_rules order by role')
  return rows as unknown as readonly RoleRule[]
}

/** The statement that restricts a role, for whoever owns the schema to run. */
export function setAccessText({ role, patterns }: RoleRule): string {
  const list = patterns.map(quoted).join(', ')
  const expression = patterns.map(patternExpression).join('|')
  return `select evt.set_access(${quoted(role)}, array[${list}]::text[], ${quoted(expression)});`
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

const mostRows = 100

/**
 * Writes down that somebody was denied something: once in an hour for the same who, target and reason, with the number of times, and
 * so many rows in an hour at most.
 */
export async function noteDenied(
  sql: SqlExecutor,
  {
    who,
    target,
    reason,
    times,
  }: { readonly who: string; readonly target: string; readonly reason: string; readonly times: number },
): Promise<void> {
  await sql.query(
    `with recent as (
       select id, who, target from evt.audit where verb = 'access denied' and at > clock_timestamp() - interval '1 hour'
     ), again as (
       update evt.audit a set affected = affected + $4
       from (select id from recent where who = $1 and target = $2 limit 1) r where a.id = r.id returning a.id
     )
     insert into evt.audit (who, verb, target, reason, affected)
     select $1, 'access denied', $2, $3, $4
     where not exists (select from again) and (select count(*) from recent) < ${mostRows}`,
    [who, target, reason, times],
  )
}
