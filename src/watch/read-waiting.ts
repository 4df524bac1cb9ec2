import type { SqlExecutor } from '../transports/transport.ts'

/** What goes on only when a person does something. */
export interface WaitingForPeople {
  readonly stuckSagas: readonly { readonly saga: string; readonly count: number }[]
  /** Queues of handlers, by what they wait for. */
  readonly parked: { readonly contract: number; readonly deadLetter: number }
  /** Ids of replays that were paused, or whose process has gone. */
  readonly restingReplays: readonly string[]
  /** Those that fire; the names of the critical ones first. */
  readonly alerts: { readonly firing: number; readonly critical: number; readonly names: readonly string[] }
}

const parkedText = `select
  (select count(distinct (handler, coalesce(subject, event_id))) from evt.deliveries where held_for is not null)::int as contract,
  (select count(*) from evt.parked_subjects where blocked_by is not null)::int as "deadLetter"`

const replaysText = `select id from evt.replays where status in ('running', 'paused')
  and (owner is null or lease_until < clock_timestamp()) order by started_at`

const alertsText = `select alert, severity = 'critical' as critical, count(*)::int as count from evt.alerts
  where state = 'firing' group by 1, 2 order by 2 desc, 1`

export async function readWaiting(sql: SqlExecutor): Promise<WaitingForPeople> {
  const stuck = await sql.query(
    `select saga, count(*)::int as count from evt.sagas where status = 'stuck' group by saga order by saga`,
  )
  const { rows: parked } = await sql.query(parkedText)
  const { rows: replays } = await sql.query(replaysText)
  const { rows: alerts } = await sql.query(alertsText)
  const sum = (rows: typeof alerts) => rows.reduce((total, row) => total + Number(row.count), 0)
  return {
    stuckSagas: stuck.rows.map((row) => ({ saga: String(row.saga), count: Number(row.count) })),
    parked: { contract: Number(parked[0]?.contract), deadLetter: Number(parked[0]?.deadLetter) },
    restingReplays: replays.map(({ id }) => String(id)),
    alerts: {
      firing: sum(alerts),
      critical: sum(alerts.filter(({ critical }) => critical === true)),
      names: [...new Set(alerts.map((row) => String(row.alert)))],
    },
  }
}
