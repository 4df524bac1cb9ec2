// Where each handler reads, the log or a sink, and how it gets from one to the other: every move goes by the log, from what the old intake
// surely passed. The inbox recognises what was done after that.
import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import { countWaiting, logLag, returnToLog, waitsInLog } from './return-to-log.ts'

/** What a handler reads: `log` has no target. */
export interface Intake {
  /** `log`, or the sink's name. */
  readonly name: string
  /** Which server and topics that name stands for; without a password. */
  readonly target: string
}

export interface Entering {
  readonly handler: string
  readonly instance: string
  /** What this bridge was told to read. */
  readonly intake: Intake
  readonly start: 'earliest' | 'latest'
  /** Of its group in the log, should it be made. */
  readonly lanes: number
}

export type Entry =
  /** Reads its intake: what is after `since`. */
  | {
      readonly state: 'there'
      readonly since: bigint
      readonly isNew: boolean
      readonly at: Date
      readonly left?: Left
    }
  /** Reads the log first, until `pass` says that it may go on in its sink. */
  | {
      readonly state: 'passing'
      readonly since: bigint
      readonly at: Date
      readonly behind: bigint
      readonly left?: Left
    }
  /** Others run it over something else. */
  | { readonly state: 'waiting'; readonly intake: string; readonly members: readonly string[] }

/** A sink that it reads no more. */
export interface Left {
  readonly intake: string
  /** What is after it is read in the log. */
  readonly position: bigint
  readonly behind: bigint
}

interface Row {
  readonly intake: string
  readonly target: string
  readonly since: bigint
  readonly position: bigint
  readonly upto: bigint | undefined
  readonly at: Date
}

interface Reader extends Intake {
  readonly instance: string
  readonly applied: bigint | undefined
}

/** Longest time between beats of an instance that lives. */
export const aliveFor = '5 s'

const isSame = (a: Intake, b: Intake): boolean => a.name === b.name && a.target === b.target

/** In one transaction, and nobody else's for this handler at the same time. Moves it back to the log where that is its way. */
export function enterPlace(store: Store, entering: Entering): Promise<Entry> {
  const { handler, instance, intake } = entering
  return store.transaction(async (sql) => {
    await lockPlace(sql, handler)
    const others = await liveReaders(sql, handler, instance)
    const known = await readPlace(sql, handler)
    const { row, isNew } = known ? { row: known, isNew: false } : await makePlace(sql, entering)
    const stranger = others.find((other) => !isSame(other, intake))
    const here = { name: row.intake, target: row.target }
    if (stranger && (!isSame(here, intake) || row.upto !== undefined || intake.name === 'log'))
      return {
        state: 'waiting',
        intake: stranger.name,
        members: others.filter((other) => !isSame(other, intake)).map((one) => one.instance),
      }
    await noteReader(sql, entering)
    if (isSame(here, intake)) {
      if (intake.name === 'log') await setFence(sql, handler, undefined)
      const stays = intake.name === 'log' || others.length > 0 || !(await waitsInLog(sql, handler))
      if (stays) return { state: 'there', since: row.since, isNew, at: row.at }
    }
    const left = row.intake === 'log' ? undefined : await leaveSink(sql, entering, row)
    const now = left ? ((await readPlace(sql, handler)) ?? row) : row
    const common = { since: now.since, at: now.at, ...(left ? { left } : {}) }
    if (intake.name === 'log') return { state: 'there', isNew, ...common }
    return { state: 'passing', behind: await logLag(sql, handler), ...common }
  })
}

export interface Passing {
  readonly handler: string
  readonly instance: string
  readonly intake: Intake
  /** The fence that this process holds to, and the last position that it has handed out. */
  readonly applied: bigint | undefined
  readonly handed: bigint
}

export interface Passage {
  /** Set when it is over: the sink is read from here. */
  readonly since?: bigint
  /** Nothing of the log after it is to be handed out. */
  readonly upto?: bigint
  /** Events that wait in lanes of the log: only there somebody goes on with them. */
  readonly strays?: number
  /** The leader does not carry to it yet. */
  readonly isUncarried?: boolean
}

/**
 * One step from the log to a sink. When nothing waits in the log's lanes, all stop at the head of that moment; when all lanes have passed that,
 * the sink is read from there, and the group in the log goes.
 */
export function passPlace(store: Store, passing: Passing): Promise<Passage> {
  const { handler, instance, intake, applied, handed } = passing
  return store.transaction(async (sql) => {
    await lockPlace(sql, handler)
    await sql.query('update evt.handler_readers set applied = $3 where handler = $1 and instance = $2', [
      handler,
      instance,
      applied?.toString() ?? null,
    ])
    const row = await readPlace(sql, handler)
    if (!row) return {}
    if (isSame({ name: row.intake, target: row.target }, intake)) return { since: row.since }
    const strays = await countWaiting(sql, handler)
    const carried = await sql.query('select from evt.sinks where name = $1', [intake.name])
    const isUncarried = carried.rows.length === 0
    if (strays > 0 || isUncarried) {
      await setFence(sql, handler, undefined)
      return { strays, isUncarried }
    }
    const { rows } = await sql.query(
      'select evt.head()::text as head, min(position)::text as passed from evt.lanes where group_name = $1',
      [handler],
    )
    const { head, passed } = rows[0] as { head: string; passed: string | null }
    const upto = row.upto ?? BigInt(head)
    const held = handed > upto ? handed : upto
    if (held !== row.upto) await setFence(sql, handler, held)
    const others = await liveReaders(sql, handler, instance)
    const all = applied === held && others.every((other) => other.applied === held)
    if (!all || passed === null || BigInt(passed) < held) return { upto: held }
    await sql.query(
      `update evt.handler_places set intake = $2, target = $3, since = $4, position = $4, upto = null, at = clock_timestamp()
       where handler = $1`,
      [handler, intake.name, intake.target, String(held)],
    )
    await sql.query('delete from evt.groups where name = $1', [handler])
    return { since: held }
  })
}

/** This process runs these no more. */
export async function leavePlaces(sql: SqlExecutor, instance: string): Promise<void> {
  await sql.query('delete from evt.handler_readers where instance = $1', [instance])
}

/** Everything up to there is passed in the sink. */
export async function raisePlace(sql: SqlExecutor, handler: string, intake: Intake, position: bigint): Promise<void> {
  await sql.query(
    `update evt.handler_places set position = $4 where handler = $1 and intake = $2 and target = $3 and position < $4`,
    [handler, intake.name, intake.target, String(position)],
  )
}

/** Everything up to there is in the sink. */
export async function carriedTo(sql: SqlExecutor, sink: string): Promise<bigint | undefined> {
  const { rows } = await sql.query('select position::text from evt.sinks where name = $1', [sink])
  return rows[0] && BigInt(String(rows[0].position))
}

/** Events after `since` that were given up before the handler came to the log: they are not to come again. */
export async function readGivenUp(
  sql: SqlExecutor,
  handler: string,
  { since, at }: { readonly since: bigint; readonly at: Date },
): Promise<ReadonlySet<string>> {
  const { rows } = await sql.query(
    'select event_id from evt.dead_letters where handler = $1 and position > $2 and first_failed_at <= $3',
    [handler, String(since), at],
  )
  return new Set(rows.map((row) => String(row.event_id)))
}

async function lockPlace(sql: SqlExecutor, handler: string): Promise<void> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.place ' || $1, 0))`, [handler])
}

async function readPlace(sql: SqlExecutor, handler: string): Promise<Row | undefined> {
  const { rows } = await sql.query(
    'select intake, target, since::text, position::text, upto::text, at from evt.handler_places where handler = $1',
    [handler],
  )
  const row = rows[0]
  return (
    row && {
      intake: String(row.intake),
      target: String(row.target),
      since: BigInt(String(row.since)),
      position: BigInt(String(row.position)),
      upto: row.upto === null ? undefined : BigInt(String(row.upto)),
      at: row.at as Date,
    }
  )
}

/** Who has a group in the log reads that. Who has an inbox ran before places were written down: nothing is known to be passed. */
async function makePlace(sql: SqlExecutor, { handler, intake, start }: Entering) {
  const { rows } = await sql.query(
    `select exists (select from evt.groups where name = $1) as grouped, exists (select from evt.inbox where handler = $1) as seen,
       coalesce(evt.head(), 0)::text as head`,
    [handler],
  )
  const { grouped, seen, head } = rows[0] as { grouped: boolean; seen: boolean; head: string }
  const { name, target } = grouped ? { name: 'log', target: '' } : intake
  // In the log its lanes know; what it was given up after is nothing that comes again.
  const since = name === 'log' ? head : seen || start === 'earliest' ? '0' : head
  await sql.query(
    'insert into evt.handler_places (handler, intake, target, since, position) values ($1, $2, $3, $4, $4)',
    [handler, name, target, since],
  )
  const row = await readPlace(sql, handler)
  if (!row) throw new Error(`the place of ${handler} is gone`)
  return { row, isNew: !grouped && !seen }
}

async function liveReaders(sql: SqlExecutor, handler: string, self: string): Promise<readonly Reader[]> {
  const { rows } = await sql.query(
    `select r.instance, r.intake, r.target, r.applied::text from evt.handler_readers r join evt.instances i using (instance)
     where r.handler = $1 and r.instance <> $2 and i.beat_at > clock_timestamp() - $3::interval
       and (i.stopped_at is null or i.stopped_at < i.beat_at)
     order by r.instance`,
    [handler, self, aliveFor],
  )
  return rows.map((row) => ({
    instance: String(row.instance),
    name: String(row.intake),
    target: String(row.target),
    applied: row.applied === null ? undefined : BigInt(String(row.applied)),
  }))
}

async function noteReader(sql: SqlExecutor, { handler, instance, intake }: Entering): Promise<void> {
  // Of those that were killed.
  await sql.query(
    'delete from evt.handler_readers r where handler = $1 and not exists (select from evt.instances i where i.instance = r.instance)',
    [handler],
  )
  await sql.query(
    `insert into evt.handler_readers (handler, instance, intake, target) values ($1, $2, $3, $4)
     on conflict (handler, instance) do update set intake = excluded.intake, target = excluded.target, applied = null`,
    [handler, instance, intake.name, intake.target],
  )
}

async function setFence(sql: SqlExecutor, handler: string, upto: bigint | undefined): Promise<void> {
  await sql.query('update evt.handler_places set upto = $2 where handler = $1 and upto is distinct from $2', [
    handler,
    upto?.toString() ?? null,
  ])
}

async function leaveSink(sql: SqlExecutor, entering: Entering, { intake, position }: Row): Promise<Left> {
  const behind = await returnToLog(sql, entering, position)
  await sql.query(
    `update evt.handler_places set intake = 'log', target = '', since = position, upto = null, at = clock_timestamp() where handler = $1`,
    [entering.handler],
  )
  return { intake, position, behind }
}
