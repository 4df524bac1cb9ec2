import type { SqlExecutor } from '../transports/transport.ts'

export interface Lease {
  /** Names the leader for people. */
  readonly instance: string
  /** Grows with every change of leader; what an earlier one still tries to sequence fails. */
  readonly epoch: bigint
}

export interface LeaseState {
  readonly leader: string | undefined
  readonly epoch: bigint
  /** Until the lease runs out; negative when it has. Undefined when nobody leads. */
  readonly remainingMs: number | undefined
}

/** No lease ends this much later than a new one would, unless the server's clock was put back. */
const putBackMs = 60_000

/**
 * Takes the lease when it is free or has run out; undefined while somebody else has it. Waits for a step of the former
 * leader that is under way. Throws `refused` when the cursor belongs to another cluster or timeline.
 */
export async function acquireLease(sql: SqlExecutor, instance: string, leaseMs: number): Promise<Lease | undefined> {
  const { rows } = await sql.query('select evt.lead($1, $2) as epoch', [instance, leaseMs])
  const epoch = (rows[0] as { epoch: string | null }).epoch
  if (epoch !== null) return { instance, epoch: BigInt(epoch) }
  await boundLease(sql, { table: 'evt.relay', only: ['only_row', true] }, leaseMs)
  return undefined
}

export interface LeasedRow {
  readonly table: 'evt.relay' | 'evt.watch_tasks' | 'evt.replays'
  /** A column, and what the row has there. */
  readonly only: readonly [string, unknown]
}

/**
 * For who did not get it: a holder that lives renews it by the new time; one that died before the server's clock was put back would have it
 * until the old time has come again.
 */
export async function boundLease(sql: SqlExecutor, { table, only }: LeasedRow, leaseMs: number): Promise<void> {
  await sql.query(
    `update ${table} set lease_until = clock_timestamp() + $1 * interval '1 ms'
     where ${only[0]} = $3 and lease_until > clock_timestamp() + $2 * interval '1 ms'`,
    [leaseMs, leaseMs + putBackMs, only[1]],
  )
}

/** False when somebody else has taken it meanwhile. */
export async function renewLease(sql: SqlExecutor, lease: Lease, leaseMs: number): Promise<boolean> {
  const { rows } = await sql.query(
    `update evt.relay set lease_until = clock_timestamp() + $3 * interval '1 ms'
     where leader = $1 and epoch = $2 returning epoch`,
    [lease.instance, String(lease.epoch), leaseMs],
  )
  return rows.length > 0
}

/** Lets a standby lead at once; where a full queue forbids to tell it, as soon as it looks. Harmless when the lease is no longer ours. */
export async function releaseLease(sql: SqlExecutor, lease: Lease): Promise<void> {
  await sql.query(
    `with freed as (
       update evt.relay set leader = null, lease_until = null where leader = $1 and epoch = $2 returning epoch
     )
     select pg_notify('evt_lead', '') from freed where pg_notification_queue_usage() < 0.5`,
    [lease.instance, String(lease.epoch)],
  )
}

export async function readLease(sql: SqlExecutor): Promise<LeaseState> {
  const { rows } = await sql.query(
    `select leader, epoch, date_part('epoch', lease_until - clock_timestamp()) * 1000 as remaining_ms from evt.relay`,
  )
  const row = rows[0] as { leader: string | null; epoch: string; remaining_ms: number | null }
  return {
    leader: row.leader ?? undefined,
    epoch: BigInt(row.epoch),
    remainingMs: row.remaining_ms ?? undefined,
  }
}
