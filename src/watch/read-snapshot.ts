import type { Store } from '../store/connection.ts'
import { listCauses } from '../store/dead-letters.ts'
import { readHandlerStates } from '../store/handler-states.ts'
import { readUnsequenced } from '../store/sequencer.ts'
import { deadAfterMs } from './instances.ts'
import { readBacklog } from './read-backlog.ts'
import type { InstanceSample, Snapshot } from './snapshot.ts'
import { stoppedHandlers } from './stopped-handlers.ts'

/** Causes that one snapshot lists, the most frequent first. */
const causesShown = 50

/**
 * What the store and its bridges say at this moment. Reads only; throws EvtError('connect') when the store is away and
 * EvtError('migrations') when the schema is missing.
 */
export async function readSnapshot(store: Store): Promise<Snapshot> {
  const [head, instances, backlog, states, dead] = await Promise.all([
    readHead(store),
    readInstances(store),
    readBacklog(store),
    readHandlerStates(store),
    readDead(store),
  ])
  const url = new URL(store.url)
  return {
    takenAt: new Date().toISOString(),
    clockMs: performance.now(),
    store: { host: url.host, database: url.pathname.slice(1), serverVersion: versionText(store.serverVersion) },
    head,
    instances,
    backlog: backlog.filter(({ handler }) => !readsSink(handler, instances)),
    stopped: stoppedHandlers(states, instances),
    dead,
  }
}

/** Its place in the log stands still meanwhile, and says nothing of how far it is. */
function readsSink(handler: string, instances: readonly InstanceSample[]): boolean {
  const running = instances.filter((one) => one.alive && one.handlers.some((own) => own.handler === handler))
  return running.length > 0 && running.every(({ consumes }) => consumes !== undefined)
}

const versionText = (version: number) => `${Math.floor(version / 10_000)}.${version % 10_000}`

/** Counting goes no further: more than that is a stalled relay, and its age says so. */
const mostPending = 100_000

async function readHead(store: Store): Promise<Snapshot['head']> {
  const [pending, { rows }] = await Promise.all([
    readUnsequenced(store, mostPending),
    store.query('select coalesce(evt.head(), 0)::text as position'),
  ])
  const position = String((rows[0] as { position: string } | undefined)?.position ?? '0')
  const oldestPendingMs = pending.oldestMs === undefined ? null : Math.max(0, Date.now() - pending.oldestMs)
  return { position, outboxPending: pending.events, oldestPendingMs }
}

interface InstanceRow {
  readonly instance: string
  readonly host: string
  readonly pid: number
  readonly version: string
  readonly roles: string[]
  readonly leader: boolean
  readonly started_at: Date
  readonly age_ms: number
  readonly taken_over: string[] | null
  readonly sample: Pick<
    InstanceSample,
    'handlers' | 'sinks' | 'sources' | 'consumes' | 'stages' | 'sequenced' | 'rssBytes' | 'cpu'
  >
}

const instancesSql = `
  select instance, host, pid, version, roles, started_at, sample,
    leader and exists (
      select from evt.relay r where r.leader = i.instance and r.lease_until > clock_timestamp()
    ) as leader,
    (extract(epoch from clock_timestamp() - beat_at) * 1000)::float8 as age_ms,
    case when beat_at < clock_timestamp() - interval '${deadAfterMs} ms' then array(
      select unnest(o.roles || array(select one->>'handler' from json_array_elements((o.sample->'handlers')::json) one))
      from evt.instances o
      where o.instance <> i.instance and o.beat_at - greatest(o.started_at, i.beat_at) > interval '30 s'
    ) end as taken_over
  from evt.instances i where stopped_at is null order by started_at, instance`

async function readInstances(store: Store): Promise<readonly InstanceSample[]> {
  const { rows } = await store.query(instancesSql)
  return (rows as unknown as readonly InstanceRow[]).map((row) => {
    const alive = row.age_ms < deadAfterMs
    return {
      ...row.sample,
      instance: row.instance,
      host: row.host,
      pid: row.pid,
      version: row.version,
      roles: row.roles,
      // One that is dead, or whose lease has run out, leads no more, whatever its last word was.
      leader: row.leader && alive,
      startedAt: row.started_at.toISOString(),
      ageMs: row.age_ms,
      alive,
      ...(row.taken_over === null ? {} : { takenOver: row.taken_over }),
    }
  })
}

async function readDead(store: Store): Promise<Snapshot['dead']> {
  const causes = await listCauses(store)
  return {
    open: causes.reduce((total, cause) => total + cause.count, 0),
    causes: causes.slice(0, causesShown).map((cause) => ({
      cause: cause.cause,
      handler: cause.handler,
      type: cause.type,
      error: cause.error,
      count: cause.count,
      firstAt: cause.firstAt,
      lastAt: cause.lastAt,
      sampleId: cause.sampleId,
    })),
  }
}
