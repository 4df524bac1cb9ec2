import type { SqlExecutor } from '../transports/transport.ts'

/** A lane of a handler that this process owns. */
export interface OwnedPlace {
  readonly handler: string
  readonly lane: string
}

/** Something that one lane's owner has to do. */
export interface Due extends OwnedPlace {
  /** The queue to go on with, or null: then `id` stands alone. */
  readonly subject: string | null
  readonly id: string | null
  readonly inMs: number
}

/** Rows of one look, and of each lane at least. */
const [most, mostOfLane] = [2000, 100]

const select = `select own.handler, own.lane, due.subject, due.id, due.in_ms
  from unnest($1::text[], $2::text[]) as own(handler, lane) cross join lateral (
    (select d.subject, d.id, extract(epoch from d.next_at - clock_timestamp()) * 1000 as in_ms from evt.deliveries d
     where d.handler = own.handler and d.lane = own.lane
       and d.next_at <= now() + $3::double precision * interval '1 millisecond'
     order by d.next_at limit $4)
    union all
    (select p.subject, null, 0 from evt.parked_subjects p
     where p.handler = own.handler and p.lane = own.lane and p.freed_at is not null limit $4)) as due
  order by in_ms`

/**
 * What is due in these lanes within `withinMs`, the most urgent first. One query for a whole process; of each lane a
 * bounded number, so that one that cannot keep up hides nothing of the others.
 */
export async function readDue(sql: SqlExecutor, owned: readonly OwnedPlace[], withinMs: number): Promise<Due[]> {
  const { rows } = await sql.query(select, [
    owned.map((place) => place.handler),
    owned.map((place) => place.lane),
    withinMs,
    Math.max(mostOfLane, Math.ceil(most / Math.max(1, owned.length))),
  ])
  return rows.map((row) => ({
    handler: String(row.handler),
    lane: String(row.lane),
    subject: row.subject === null ? null : String(row.subject),
    id: row.id === null ? null : String(row.id),
    inMs: Number(row.in_ms),
  }))
}

/** Lets deliveries go on that were held for a contract which this process knows. Returns what others wait for. */
export async function wakeHeld(
  sql: SqlExecutor,
  place: OwnedPlace,
  isKnown: (heldFor: string) => boolean,
): Promise<readonly string[]> {
  const { rows } = await sql.query(
    'select distinct held_for from evt.deliveries where handler = $1 and lane = $2 and held_for is not null',
    [place.handler, place.lane],
  )
  const heldFor = rows.map((row) => String(row.held_for))
  const known = heldFor.filter(isKnown)
  if (known.length > 0)
    await sql.query(
      `update evt.deliveries set held_for = null, next_at = clock_timestamp()
       where handler = $1 and lane = $2 and held_for = any($3::text[])`,
      [place.handler, place.lane, known],
    )
  return heldFor.filter((held) => !known.includes(held))
}
