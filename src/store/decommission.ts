// Who reads this store: groups (handlers that read the log), handlers that read a sink and left something behind, and sinks. Each can
// be taken away for good, so that retention no longer waits for it.
import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

export type ReaderKind = 'group' | 'handler' | 'sink'

export interface ReaderState {
  readonly kind: ReaderKind
  readonly name: string
  /** The slowest lane's; null for a handler that reads a sink. */
  readonly position: string | null
  readonly lagEvents: number
  readonly oldestAgeMs: number | null
  /** Processes that run it now. */
  readonly members: readonly string[]
  /** When a bridge that is known said last that it runs it. */
  readonly lastSeen: string | null
  /** Deliveries that failed or wait behind one that did. */
  readonly retrying: number
  readonly parkedSubjects: number
  readonly openDeadLetters: number
}

const readersText = `
  with head as materialized (select coalesce(evt.head(), 0) as head),
    seen as materialized (
      select 'handler' as kind, e->>'handler' as name, i.instance, i.beat_at, i.stopped_at
      from evt.instances i, json_array_elements(coalesce(i.sample->'handlers', '[]')) e
      union all
      select 'sink', e->>'sink', i.instance, i.beat_at, i.stopped_at
      from evt.instances i, json_array_elements(coalesce(i.sample->'sinks', '[]')) e
    ), readers as (
      select 'group' as kind, name, (select min(position) from evt.lanes where group_name = name) as position from evt.groups
      union all
      select 'sink', name, position from evt.sinks
      union all
      select 'handler', handler, null from (
        select handler from evt.deliveries union select handler from evt.parked_subjects union select handler from evt.handler_switches
          union select handler from evt.handler_places where intake <> 'log'
      ) left_behind where handler not in (select name from evt.groups)
    )
  select r.kind, r.name, r.position::text, greatest(least(h.head, p.upto) - r.position, 0)::float8 as lag,
    (select extract(epoch from clock_timestamp() - l.sequenced_at) * 1000 from evt.log l
      where l.position > r.position and least(h.head, p.upto) > r.position order by l.position limit 1)::float8 as age_ms,
    case r.kind when 'group' then array(select m.member from evt.members m where r.name = any (m.groups)
        and not pg_try_advisory_xact_lock(m.session) order by 1)
      else array(select distinct s.instance from seen s where s.kind = r.kind and s.name = r.name and s.stopped_at is null
        and s.beat_at > clock_timestamp() - interval '5 s' order by 1) end as members,
    (select max(s.beat_at) from seen s where s.name = r.name and (s.kind = 'sink') = (r.kind = 'sink')) as last_seen,
    (select count(*) from evt.deliveries d where d.handler = r.name and r.kind <> 'sink')::int as retrying,
    (select count(*) from evt.parked_subjects p where p.handler = r.name and r.kind <> 'sink')::int as parked,
    (select count(*) from evt.dead_letters d where d.status = 'open'
      and d.handler = case r.kind when 'sink' then 'sink ' || r.name else r.name end)::int as dead
  from readers r cross join head h left join evt.replays p on p.id = nullif(split_part(r.name, '.replay-', 2), '')
  order by r.kind, r.name`

/** What it is called in the view `evt.needs`. */
export const needOf = ({ kind, name }: Pick<ReaderState, 'kind' | 'name'>): readonly string[] =>
  kind === 'sink' ? [`sink ${name}`] : [`group ${name}`, `handler ${name} (retrying)`, `handler ${name} (over a sink)`]

export async function listReaders(sql: SqlExecutor): Promise<readonly ReaderState[]> {
  const { rows } = await sql.query(readersText)
  return rows.map((row) => ({
    kind: row.kind as ReaderKind,
    name: String(row.name),
    position: row.position as string | null,
    lagEvents: Number(row.lag ?? 0),
    oldestAgeMs: row.age_ms === null ? null : Math.max(0, Number(row.age_ms)),
    members: row.members as string[],
    lastSeen: row.last_seen instanceof Date ? row.last_seen.toISOString() : null,
    retrying: Number(row.retrying),
    parkedSubjects: Number(row.parked),
    openDeadLetters: Number(row.dead),
  }))
}

/** `NAME`, or `sink:NAME` where a group is called the same. Throws `usage` when there is none, or two. */
export async function findReader(sql: SqlExecutor, given: string): Promise<ReaderState> {
  const all = await listReaders(sql)
  const found = all.filter(({ kind, name }) => name === given || `${kind}:${name}` === given)
  const [only] = found
  if (only && found.length === 1) return only
  if (only)
    throw new EvtError('usage', `cannot choose ${given}: a group and a sink are called that`, {
      hint: `write ${found.map(({ kind, name }) => `${kind}:${name}`).join(' or ')}`,
    })
  throw new EvtError('usage', `cannot find ${given}: no group, handler or sink of this store is called that`, {
    hint: all.length === 0 ? 'there is none at all' : `there are ${all.map(({ name }) => name).join(', ')}`,
  })
}

/**
 * Forgets a group, a handler or a sink with its position, its retries and its parked subjects; dead letters and the inbox stay. One
 * that comes back by that name starts as a new one. Throws `refused` while a process runs it.
 */
export async function removeReader(store: Store, { kind, name }: ReaderState, audit?: Audit): Promise<void> {
  await store.transaction(async (sql) => {
    await holdStill(sql, { kind, name }, 'remove')
    if (kind === 'sink') await sql.query('delete from evt.sinks where name = $1', [name])
    else {
      await sql.query(
        `update evt.dead_letters set status = 'open' where status = 'replaying'
         and id in (select dead_letter from evt.deliveries where handler = $1)`,
        [name],
      )
      for (const table of [
        'deliveries',
        'parked_subjects',
        'suspects',
        'handler_switches',
        'breakers',
        'handler_places',
        'handler_readers',
      ])
        await sql.query(`delete from evt.${table} where handler = $1`, [name])
      await sql.query('delete from evt.groups where name = $1', [name])
    }
    await audit?.(sql, 1)
  })
}

/**
 * The group goes on with what comes after this position. Events that its handlers have in their inbox are passed over when they come
 * again. Throws `refused` while a process runs it, and where its inbox has forgotten events that would come again.
 */
export async function seekGroup(
  store: Store,
  { name, after }: { readonly name: string; readonly after: bigint },
  audit?: Audit,
): Promise<void> {
  await store.transaction(async (sql) => {
    // Dropping by age waits until this is done, and sees it.
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
    await holdStill(sql, { kind: 'group', name }, 'move')
    await keepToInbox(sql, name, after)
    await sql.query(
      `update evt.lanes set position = $2, epoch = epoch + 1, owner = null, suspect_to = 0, guilty = 0, deaths = 0
       where group_name = $1`,
      [name, String(after)],
    )
    await sql.query('update evt.lane_starts set started_to = $2 where group_name = $1', [name, String(after)])
    await audit?.(sql, 1, { after: String(after) })
  })
}

/**
 * Days of the inbox are dropped by age. What a group handled while its day was there is not recognised any more; what it handled later stands in
 * the part for all other days, which stays.
 */
async function keepToInbox(sql: SqlExecutor, name: string, after: bigint): Promise<void> {
  const { rows } = await sql.query(
    `with oldest as (
       select min(to_date(right(c.relname, 8), 'YYYYMMDD')) as day from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'evt.inbox'::regclass and c.relname ~ '^inbox_[0-9]{8}$')
     select o.day::text from oldest o, evt.groups g where g.name = $1 and exists (
       select from evt.log l where l.position > $2 and l.position <= (select max(position) from evt.lanes where group_name = $1)
         and l.day <= o.day and g.created_at::date <= l.day + (current_date - o.day) + 1)`,
    [name, String(after)],
  )
  if (!rows[0]) return
  throw new EvtError(
    'refused',
    `cannot move group ${name} back to ${after}: its inbox knows nothing before ${rows[0].day}`,
    {
      hint: `what was handled before would have its effects again; if that is meant, evt replay --handler ${name} does so`,
    },
  )
}

/** Nobody joins it until the transaction ends. Throws `refused` when somebody has it. */
async function holdStill(
  sql: SqlExecutor,
  { kind, name }: Pick<ReaderState, 'kind' | 'name'>,
  verb: string,
): Promise<void> {
  await sql.query(`set local lock_timeout = '2s'`)
  await sql.query('lock table evt.members in share row exclusive mode')
  if (kind === 'group') await sql.query('select from evt.lanes where group_name = $1 for update', [name])
  const now = (await listReaders(sql)).find((one) => one.kind === kind && one.name === name)
  if (!now) throw new EvtError('usage', `cannot ${verb} ${kind} ${name}: it is gone`)
  if (now.members.length === 0) return
  throw new EvtError('refused', `cannot ${verb} ${kind} ${name}: ${now.members.join(', ')} runs it`, {
    hint: kind === 'sink' ? 'take it out of the configuration and restart that bridge' : 'stop those processes first',
  })
}
