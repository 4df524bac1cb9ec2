import { sourcesOf } from '../read-carried.ts'
import type { Snapshot } from '../snapshot.ts'
import { counter, gauge, type MetricFamily, one } from './family.ts'
import type { StoreReading } from './read-store.ts'

/** What the store knows: the same from each bridge of it, so take `max`, not `sum`. */
export function storeFamilies({ snapshot, pressure, traffic, alerts }: StoreReading): readonly MetricFamily[] {
  const { horizon } = pressure
  return [
    gauge('evt_store_up', '1 when the store answered.', [one(1)]),
    ...logFamilies(snapshot),
    gauge('evt_oldest_age_seconds', 'How long the oldest event waits in each stage.', oldestOf({ snapshot, pressure })),
    gauge(
      'evt_sink_lag_events',
      'Events of the log that the sink has still to pass, wanted or not.',
      pressure.sinks.map(({ sink, lagEvents }) => one(lagEvents, { sink })),
    ),
    gauge(
      'evt_watch_lag_events',
      'Events of the log that alerts, analytics and the log of payloads have still to look at.',
      pressure.tasks.map(({ task, lagEvents }) => one(lagEvents, { task })),
    ),
    gauge(
      'evt_horizon_age_seconds',
      'How long the oldest transaction is open that keeps the server from tidying up, and whose it is.',
      horizon
        ? [one(horizon.ageSeconds, { kind: horizon.kind, who: horizon.who, pid: String(horizon.pid) })]
        : [one(0)],
    ),
    gauge('evt_horizon_transactions', 'Transactions since that one.', [one(horizon?.transactions ?? 0)]),
    gauge('evt_notify_queue_usage_ratio', 'How full the server’s notification queue is: 0 to 1.', [
      one(pressure.notifyQueue),
    ]),
    gauge(
      'evt_connections',
      'Connections to this database, by application.',
      pressure.connections.map(({ application, count }) => one(count, { application })),
    ),
    gauge('evt_connections_limit', 'max_connections of the server.', [one(pressure.mostConnections)]),
    gauge(
      'evt_sagas_open',
      'Sagas that have not ended.',
      pressure.sagas.map(({ saga, status, count }) => one(count, { saga, status })),
    ),
    counter('evt_duplicates_total', 'Events of a key that was there already, dropped.', [one(pressure.duplicates)]),
    counter('evt_refused_total', 'Events of a key that was there with other bytes, set aside.', [
      one(pressure.refused),
    ]),
    counter(
      'evt_published_total',
      'Events committed and counted, by type and source; beyond the most frequent ones both are other.',
      traffic.map(({ type, source, events }) => one(events, { type, source })),
    ),
    gauge(
      'evt_alert_state',
      'Alerts that are not over: 1 pending, 2 firing.',
      alerts.map(({ alert, severity, state, count }) =>
        one(state === 'firing' ? 2 : 1, { alert, severity, count: String(count) }),
      ),
    ),
  ]
}

function logFamilies({ head, instances, backlog, dead }: Snapshot): readonly MetricFamily[] {
  const groups = (value: (group: (typeof backlog)[number]) => number) =>
    backlog.map((group) => one(value(group), { group: group.handler }))
  const alive = instances.filter((instance) => instance.alive).length
  return [
    counter('evt_log_position', 'The last position of the log.', [one(Number(head.position))]),
    gauge('evt_outbox_pending_events', 'Committed and without a position; counted up to 100,000.', [
      one(head.outboxPending),
    ]),
    gauge(
      'evt_group_lag_events',
      'Events of the log that the group has still to pass.',
      groups(({ lagEvents }) => lagEvents),
    ),
    gauge(
      'evt_group_retrying_events',
      'Events that failed, or wait behind one that did.',
      groups(({ retrying }) => retrying),
    ),
    gauge(
      'evt_group_parked_subjects',
      'Subjects that a failing event holds back.',
      groups(({ parkedSubjects }) => parkedSubjects),
    ),
    gauge(
      'evt_group_oldest_age_seconds',
      'Age of the oldest event that the group has still to pass.',
      groups(({ oldestAgeMs }) => (oldestAgeMs ?? 0) / 1000),
    ),
    gauge('evt_dead_letters_open', 'Dead letters that nobody has dealt with.', [one(dead.open)]),
    gauge(
      'evt_dead_letters_cause',
      'The same by cause: the fifty most frequent ones.',
      dead.causes.map(({ cause, handler, type, count }) => one(count, { cause, handler, type })),
    ),
    gauge('evt_bridges', 'Bridges of this store: alive, or silent for more than three seconds.', [
      one(alive, { state: 'alive' }),
      one(instances.length - alive, { state: 'silent' }),
    ]),
    gauge('evt_leaders', 'Bridges that lead: 1, or nobody does.', [
      one(instances.filter(({ leader }) => leader).length),
    ]),
    gauge('evt_sources_waiting', 'Sources that wait for their broker, over all bridges.', [
      one(sourcesOf(instances).filter(({ waitsFor }) => waitsFor !== null).length),
    ]),
  ]
}

function oldestOf({ snapshot, pressure }: Pick<StoreReading, 'snapshot' | 'pressure'>) {
  const inLog = snapshot.backlog.map(({ oldestAgeMs }) => oldestAgeMs ?? 0)
  return [
    one((snapshot.head.oldestPendingMs ?? 0) / 1000, { stage: 'relay' }),
    one(Math.max(0, ...inLog) / 1000, { stage: 'deliver' }),
    ...['retry', 'parked', 'timer'].map((stage) =>
      one(pressure.oldest.find((known) => known.stage === stage)?.seconds ?? 0, { stage }),
    ),
  ]
}
