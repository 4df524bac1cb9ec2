import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

/** Somebody in the store who stands beyond the end of the log. */
export interface Ahead {
  readonly who: string
  readonly after: bigint
}

export async function readAhead(sql: SqlExecutor): Promise<readonly Ahead[]> {
  const { rows } = await sql.query('select who, after::text from evt.ahead()')
  return rows.map(({ who, after }) => ({ who: String(who), after: BigInt(String(after)) }))
}

/** What outbox and log say of each other, and who reads beyond the end. */
export interface RebasePlan {
  readonly head: bigint
  /** Events that the outbox has and the log lacks. */
  readonly unplaced: number
  /** The first of them, by their ids. */
  readonly first: readonly string[]
  /** Positions of the log whose event is gone. */
  readonly bodiless: number
  readonly ahead: readonly Ahead[]
}

const firstFew = 3

/** Reads all of outbox and log. */
export async function planRebase(sql: SqlExecutor): Promise<RebasePlan> {
  const { rows } = await sql.query(
    `with missing as materialized (select seq, id from evt.unplaced())
     select evt.head()::text as head, evt.bodiless()::int as bodiless, (select count(*)::int from missing) as unplaced,
       array(select id from missing order by seq limit $1) as first`,
    [firstFew],
  )
  const row = rows[0] as unknown as RawPlan
  return { ...row, head: BigInt(row.head ?? 0), ahead: await readAhead(sql) }
}

interface RawPlan {
  readonly head: string | null
  readonly unplaced: number
  readonly first: readonly string[]
  readonly bodiless: number
}

/**
 * Lets the relay lead here: what the outbox has and the log lacks is sequenced by its next steps, after `beyond` or after the
 * farthest that anybody in the store stands at; resolves with where that is. Writers wait meanwhile. Throws `refused` while somebody leads.
 */
export function rebase(store: Store, beyond: bigint, audit?: Audit): Promise<bigint> {
  return store.transaction(async (sql) => {
    await sql.query('set transaction isolation level read committed')
    const { rows } = await sql.query('select evt.rebase($1)::text as upto', [String(beyond)])
    await audit?.(sql, 1)
    return BigInt(String(rows[0]?.upto))
  })
}
