import type { Store } from '../../store/connection.ts'
import { readSnapshot } from '../read-snapshot.ts'
import type { Snapshot } from '../snapshot.ts'
import { type Pressure, readPressure } from './read-pressure.ts'

export interface StoreReading {
  readonly snapshot: Snapshot
  readonly pressure: Pressure
  readonly traffic: readonly { readonly type: string; readonly source: string; readonly events: number }[]
  readonly alerts: readonly {
    readonly alert: string
    readonly severity: string
    readonly state: string
    readonly count: number
  }[]
}

/** Types and sources come from whoever publishes: the most frequent ones, and the rest together. */
const mostTraffic = 300
const trafficSql = `
  with ranked as (
    select type, source, events, row_number() over (order by events desc, type, source) as nth from evt.analytics_totals
  )
  select case when nth <= ${mostTraffic} then type else 'other' end as type,
    case when nth <= ${mostTraffic} then source else 'other' end as source, sum(events)::float8 as events
  from ranked group by 1, 2`

const alertsSql = `
  select alert, severity, case when bool_or(state = 'firing') then 'firing' else 'pending' end as state, count(*)::int as count
  from evt.alerts where state <> 'resolved' group by 1, 2`

/** Everything that a scrape shows of the store. Reads only; throws what the store throws. */
export async function readStore(store: Store): Promise<StoreReading> {
  const snapshot = await readSnapshot(store)
  const pressure = await readPressure(store)
  const traffic = (await store.query(trafficSql)).rows as unknown as StoreReading['traffic']
  const alerts = (await store.query(alertsSql)).rows as unknown as StoreReading['alerts']
  return { snapshot, pressure, traffic, alerts }
}
