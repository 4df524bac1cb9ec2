import type pg from 'pg'
import { EvtError } from '../../core/errors.ts'
import { afterDeath, type Suspicion } from '../suspicion.ts'

/** A lane as its new owner gets it. */
export interface ClaimedLane {
  readonly lane: number
  readonly epoch: bigint
  readonly position: bigint
  readonly suspicion: Suspicion
}

/** What one beat finds out. Sessions, counts and epochs as text: they are 64 bits wide. */
export interface BeatState {
  /** False when others took this member for dead. */
  readonly alive: boolean
  /** The end of the log. */
  readonly head: string
  readonly members: readonly {
    readonly session: string
    readonly beats: string
    readonly groups: readonly string[]
    readonly unlocked: boolean
  }[]
  readonly groups: readonly {
    readonly name: string
    readonly lanes: number
    readonly free: number
    readonly mine: readonly number[]
  }[]
}

// One statement a beat, for all groups of the process. `unlocked`: the connection that held the lock is gone.
const beatText = `with beat as (
  update evt.members set beats = beats + 1, groups = $2 where session = $1 returning session
)
select exists (select from beat) as alive, evt.head()::text as head,
  (select coalesce(json_agg(json_build_object('session', m.session::text, 'beats', m.beats::text, 'groups', m.groups,
    'unlocked', case when m.session = $1 then false else pg_try_advisory_xact_lock(m.session) end)), '[]')
    from evt.members m) as members,
  (select coalesce(json_agg(g), '[]') from (
    select g.name, g.lanes, count(*) filter (where l.owner is null or m.session is null) as free,
      coalesce(array_agg(l.lane) filter (where l.owner = $1), '{}') as mine
    from evt.groups g join evt.lanes l on l.group_name = g.name left join evt.members m on m.session = l.owner
    where g.name = any ($3) group by g.name, g.lanes
  ) g) as groups`

/** `joined`: groups in which this member claims lanes. `known`: those, and groups of which it still holds some. */
export async function beat(
  client: pg.Client,
  session: bigint,
  joined: readonly string[],
  known: readonly string[],
): Promise<BeatState> {
  const { rows } = await client.query({ name: 'evt_beat', text: beatText, values: [String(session), joined, known] })
  return rows[0]
}

/** Registers this connection's session; with a former one, what that still owns comes along. */
export async function register(
  client: pg.Client,
  session: bigint,
  member: string,
  former: bigint | undefined,
): Promise<readonly { readonly group: string; readonly lane: number; readonly epoch: bigint }[]> {
  await client.query('select pg_advisory_lock($1)', [String(session)])
  await client.query(`insert into evt.members (session, member, groups) values ($1, $2, '{}')`, [
    String(session),
    member,
  ])
  if (former === undefined) return []
  const { rows } = await client.query(
    `with gone as (delete from evt.members where session = $2)
     update evt.lanes set owner = $1 where owner = $2 returning group_name, lane, epoch`,
    [String(session), String(former)],
  )
  return rows.map((row) => ({ group: row.group_name, lane: row.lane, epoch: BigInt(row.epoch) }))
}

/** A member as a beat found it. */
type Found = Pick<BeatState['members'][number], 'session' | 'beats' | 'unlocked'>

/**
 * Removes members that were found dead, unless they have beaten since. Their lanes are free from then on, and what their
 * transactions had locked too, as far as this role may end them: a process that froze would keep it for as long as its
 * handlers have time.
 */
export async function removeDead(client: pg.Client, dead: readonly Found[]): Promise<void> {
  const [sessions, beats] = [dead.map(({ session }) => session), dead.map(({ beats }) => beats)]
  const locked = dead.filter(({ unlocked }) => !unlocked).map(({ session }) => session)
  // Before: it may have frozen while it claimed, with a lock on its own row.
  await client.query(endBackends, [sessions, beats, locked]).catch((error: { readonly code?: string }) => {
    // Where ending is forbidden altogether, its locks stay until the server finds its transactions silent.
    if (error.code !== '42501') throw error
  })
  await client.query(`delete from evt.members m using ${found} where m.session = d.session and m.beats = d.beats`, [
    sessions,
    beats,
  ])
}

const found = 'unnest($1::bigint[], $2::bigint[]) d (session, beats)'

// The member's own connection is known by its lock, which nobody else tries while it has it, the others by their name, as the
// server keeps it: without what is not ASCII, and cut. Not by giving that name to ourselves (`set_config` would spell it too): for
// a moment another member would take us for the dead one. A name that a living member has too says nothing.
const spelled = `(select left(string_agg(case when byte between 32 and 126 then chr(byte)
    when current_setting('server_version_num')::int < 160000 then '?' else '\\x' || lpad(to_hex(byte), 2, '0') end, '' order by at), 63)
  from convert_to(kind || m.member, current_setting('server_encoding')) bytes, generate_series(0, length(bytes) - 1) at, get_byte(bytes, at) byte)`
const endBackends = `with named as materialized (
  select m.session, d.session is not null as dead, ${spelled} as name, kind
  from evt.members m left join ${found} on m.session = d.session and m.beats = d.beats,
    unnest(array['evt handlers ', 'evt bridge ']) kind
), gone as (
  select name, kind from named group by name, kind having bool_and(dead)
)
select pg_terminate_backend(a.pid) from pg_stat_activity a
where a.datname = current_database() and a.pid <> pg_backend_pid() and pg_has_role(a.usesysid, 'usage') and (
  exists (select from gone where a.application_name = name and (kind = 'evt handlers ' or a.state like 'idle in transaction%'))
  or a.pid in (
    select l.pid from pg_locks l join named n on n.dead and n.session = any ($3::bigint[]) and (l.classid::bigint << 32 | l.objid::bigint) = n.session
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.database = (select oid from pg_database where datname = current_database())))`

export async function leave(client: pg.Client, session: bigint): Promise<void> {
  await client.query('delete from evt.members where session = $1', [String(session)])
}

// The start too: what a former owner that is not dead after all marks from here on is not its own any more, or was read here.
const freeLanes = `select l.lane, l.epoch, l.position, l.owner is not null as died, l.suspect_to, l.guilty, l.deaths, s.started_to
  from evt.lanes l join evt.lane_starts s using (group_name, lane)
  where l.group_name = $2 and (l.owner is null or (l.owner = $1 and l.lane <> all ($3))
    or not exists (select from evt.members m where m.session = l.owner))
  order by l.lane limit $4 for update of l, s skip locked`

/**
 * Takes up to `count` free lanes of a group, in one transaction; `held` are ours already. One member claims in a group at a
 * time: a lane must not be taken for free because its new owner registered a moment ago.
 */
export async function claimLanes(
  client: pg.Client,
  session: bigint,
  group: string,
  held: readonly number[],
  count: number,
): Promise<readonly ClaimedLane[]> {
  await client.query('begin')
  try {
    await client.query(`select pg_advisory_xact_lock(hashtextextended('evt.claim ' || $1, 0))`, [group])
    const me = await client.query('select from evt.members where session = $1 for key share', [String(session)])
    const { rows } = await client.query(freeLanes, [String(session), group, held, me.rowCount === 0 ? 0 : count])
    const claimed = rows.map(claimedLane)
    if (claimed.length > 0) await refuseAhead(client, group, claimed)
    if (claimed.length > 0) await writeClaim(client, session, group, claimed)
    await client.query('commit')
    return claimed
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Events that get their positions here would be passed over. Behind the lanes: what is locked may be newer than what was looked at. */
async function refuseAhead(client: pg.Client, group: string, claimed: readonly ClaimedLane[]): Promise<void> {
  const { rows } = await client.query('select evt.head()::text as head')
  const head = BigInt(rows[0]?.head ?? 0)
  const ahead = claimed.find(({ position }) => position > head)
  if (!ahead) return
  const reason = `lane ${ahead.lane} stands at ${ahead.position}, and the log of this server ends at ${head}`
  throw new EvtError('refused', `cannot go on with group ${group}: ${reason}`, {
    hint: 'nothing is skipped; after a restore or a fail-over: `evt relay rebase --dry-run`',
  })
}

function claimedLane(row: Record<string, string> & { lane: number; died: boolean; deaths: number }): ClaimedLane {
  const position = BigInt(row.position ?? 0)
  const before = { suspectTo: BigInt(row.suspect_to ?? 0), guilty: BigInt(row.guilty ?? 0), deaths: row.deaths }
  const suspicion = row.died ? afterDeath(before, position, BigInt(row.started_to ?? 0)) : before
  return { lane: row.lane, epoch: BigInt(row.epoch ?? 0) + 1n, position, suspicion }
}

async function writeClaim(client: pg.Client, session: bigint, group: string, claimed: readonly ClaimedLane[]) {
  const text = `with claimed as (
    update evt.lanes l set owner = $1, epoch = c.epoch, suspect_to = c.suspect_to, guilty = c.guilty, deaths = c.deaths
    from unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[]) c (lane, epoch, suspect_to, guilty, deaths)
    where l.group_name = $2 and l.lane = c.lane returning l.lane, l.epoch, l.position
  )
  update evt.lane_starts s set epoch = c.epoch, started_to = c.position
  from claimed c where s.group_name = $2 and s.lane = c.lane`
  await client.query(text, [
    String(session),
    group,
    claimed.map(({ lane }) => lane),
    claimed.map(({ epoch }) => String(epoch)),
    claimed.map(({ suspicion }) => String(suspicion.suspectTo)),
    claimed.map(({ suspicion }) => String(suspicion.guilty)),
    claimed.map(({ suspicion }) => suspicion.deaths),
  ])
}

/** The lane is free from then on, at this position, and whoever had it starts nothing more. No effect when it has another owner. */
export async function releaseLane(client: pg.Client, group: string, lane: number, epoch: bigint, position: bigint) {
  await client.query(
    `with released as (
       update evt.lanes set owner = null, epoch = epoch + 1,
         position = case when $4::bigint <= evt.head() then greatest(position, $4::bigint) else position end
       where group_name = $1 and lane = $2 and epoch = $3 returning group_name, lane, epoch
     )
     update evt.lane_starts s set epoch = r.epoch from released r where s.group_name = r.group_name and s.lane = r.lane`,
    [group, lane, String(epoch), String(position)],
  )
}
