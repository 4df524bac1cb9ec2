import type { SqlExecutor } from '../transports/transport.ts'
import { type Identities, readIdentities } from './identity.ts'
import { type LeaseState, readLease } from './lease.ts'
import { type Ahead, readAhead } from './rebase.ts'
import { readUnsequenced } from './sequencer.ts'

export interface RelayState extends LeaseState, Identities {
  readonly head: bigint
  /** Bridges that live and would lead. */
  readonly standbys: readonly string[]
  /** Without a position; counted up to 10,000. */
  readonly pending: number
  /** Age of the oldest of them. */
  readonly oldestMs: number | undefined
  readonly ahead: readonly Ahead[]
}

const mostCounted = 10_000

export async function readRelay(sql: SqlExecutor): Promise<RelayState> {
  const [lease, identities, { events, oldestMs }] = [
    await readLease(sql),
    await readIdentities(sql),
    await readUnsequenced(sql, mostCounted),
  ]
  const { rows } = await sql.query(
    `select evt.head()::text as head, (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
       array(select instance from evt.instances where stopped_at is null and beat_at > clock_timestamp() - interval '5 s'
         and 'relay' = any (roles) and instance is distinct from $1 order by 1) as standbys`,
    [lease.leader ?? null],
  )
  const row = rows[0] as unknown as { head: string | null; now_ms: number; standbys: readonly string[] }
  return {
    ...lease,
    ...identities,
    head: BigInt(row.head ?? 0),
    standbys: row.standbys,
    pending: events,
    ahead: await readAhead(sql),
    oldestMs: oldestMs === undefined ? undefined : Math.max(0, row.now_ms - oldestMs),
  }
}
