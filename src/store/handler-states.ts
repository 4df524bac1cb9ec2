import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

/** What the store itself says about one handler. */
export interface HandlerState {
  readonly handler: string
  /** By an operator. */
  readonly pause: { readonly by: string; readonly at: string; readonly reason: string | null } | null
  readonly breaker: {
    readonly state: 'open' | 'closed'
    readonly since: string
    readonly by: string
    /** Distinct subjects, when it opened. */
    readonly failing: number
    readonly seen: number
    readonly error: string
    readonly trips: number
    readonly probingBy: string | null
  } | null
}

/** Of all that have a place in the log, a switch or a breaker. */
export async function readHandlerStates(sql: SqlExecutor): Promise<readonly HandlerState[]> {
  const { rows } = await sql.query(`
    select handler, s.paused, s.changed_by as paused_by, s.changed_at as paused_at, s.reason,
      b.state, b.changed_at, b.changed_by, b.failing, b.seen, b.error, b.trips,
      case when b.probing_until > clock_timestamp() then b.probing_by end as probing_by
    from (select name as handler from evt.groups union select handler from evt.handler_switches
      union select handler from evt.breakers) known
    left join evt.handler_switches s using (handler) left join evt.breakers b using (handler) order by handler`)
  return rows.map((row) => ({
    handler: String(row.handler),
    pause:
      row.paused === true ? { by: String(row.paused_by), at: iso(row.paused_at), reason: textOf(row.reason) } : null,
    breaker:
      row.state === null
        ? null
        : {
            state: row.state === 'open' ? 'open' : 'closed',
            since: iso(row.changed_at),
            by: String(row.changed_by),
            failing: Number(row.failing),
            seen: Number(row.seen),
            error: String(row.error),
            trips: Number(row.trips),
            probingBy: textOf(row.probing_by),
          },
  }))
}

/** Handlers that have a place in the log or in a sink: who was taken away has none. */
export async function readPlacedHandlers(sql: SqlExecutor): Promise<ReadonlySet<string>> {
  const { rows } = await sql.query('select name from evt.groups union select handler from evt.handler_places')
  return new Set(rows.map(({ name }) => String(name)))
}

const iso = (value: unknown) => (value instanceof Date ? value : new Date(String(value))).toISOString()
const textOf = (value: unknown) => (value === null || value === undefined ? null : String(value))

export interface HandlerSwitch {
  readonly handlers: readonly string[]
  readonly paused: boolean
  readonly by: string
  readonly reason: string | undefined
  readonly audit: Audit
}

/**
 * Every bridge notices within a second. One that is paused already keeps its reason unless another is given. A handler that is resumed goes on although its breaker was open. Returns what it
 * changed.
 */
export async function switchHandlers(
  store: Pick<Store, 'transaction'>,
  change: HandlerSwitch,
): Promise<readonly string[]> {
  const { handlers, paused, by, reason, audit } = change
  return store.transaction(async (sql) => {
    const { rows } = await sql.query(
      `insert into evt.handler_switches as known (handler, paused, changed_by, reason)
       select handler, $2, $3, $4 from unnest($1::text[]) as given(handler) order by handler
       on conflict (handler) do update set paused = excluded.paused, changed_at = clock_timestamp(),
         changed_by = excluded.changed_by, reason = excluded.reason
       where known.paused <> excluded.paused or (known.paused and excluded.reason is not null and known.reason is distinct from excluded.reason) returning handler`,
      [handlers, paused, by, reason ?? null],
    )
    const closed = paused ? [] : await closeBreakers(sql, handlers, by)
    const changed = [...new Set([...rows.map((row) => String(row.handler)), ...closed])].sort()
    await audit(sql, changed.length)
    return changed
  })
}

async function closeBreakers(sql: SqlExecutor, handlers: readonly string[], by: string): Promise<readonly string[]> {
  const { rows } = await sql.query(
    `update evt.breakers set state = 'closed', changed_at = clock_timestamp(), changed_by = $2, probing_by = null, probing_until = null
     where handler = any($1) and state = 'open' returning handler`,
    [handlers, by],
  )
  return rows.map((row) => String(row.handler))
}
