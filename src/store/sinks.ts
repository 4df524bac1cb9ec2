import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** How far a sink is, as the store knows it. */
export interface SinkCursor {
  /** Everything up to here is done with. */
  readonly position: bigint
  /** Topic → the position after which the sink began to write to it. */
  readonly topics: ReadonlyMap<string, bigint>
  /** It was made just now. */
  readonly isNew: boolean
}

export interface NewSink {
  readonly name: string
  /** For people; without a password. */
  readonly target: string
  /** Where it starts when it never existed: at the head, or before all that the log still has. */
  readonly start: 'earliest' | 'latest'
}

/** The sink's row, made when it is not there. */
export async function openSinkCursor(sql: SqlExecutor, sink: NewSink): Promise<SinkCursor> {
  const { rows: made } = await sql.query(
    `insert into evt.sinks (name, target, position) values ($1, $2, case when $3 = 'latest' then coalesce(evt.head(), 0) else 0 end)
     on conflict (name) do update set target = excluded.target where sinks.target <> excluded.target
     returning xmax = 0 as inserted`,
    [sink.name, sink.target, sink.start],
  )
  const { rows } = await sql.query('select position, topics from evt.sinks where name = $1', [sink.name])
  const row = rows[0] as { position: string; topics: Record<string, string> }
  const topics = Object.entries(row.topics).map(([topic, after]) => [topic, BigInt(after)] as const)
  const isNew = (made[0] as { inserted: boolean } | undefined)?.inserted === true
  return { position: BigInt(row.position), topics: new Map(topics), isNew }
}

/** In one statement with the change: the lease's row is held, so nobody takes the lease in between. */
const fenced = 'with leader as (select from evt.relay where epoch = $3 for share)'

/** Forwards only. Throws `fenced` when another epoch leads; then nothing has changed. */
export async function moveSinkCursor(
  sql: SqlExecutor,
  { name, epoch, position }: { readonly name: string; readonly epoch: bigint; readonly position: bigint },
): Promise<void> {
  const { rows } = await sql.query(
    `${fenced} update evt.sinks s set position = greatest(s.position, $2), moved_at = clock_timestamp()
     from leader where s.name = $1 returning s.name`,
    [name, String(position), String(epoch)],
  )
  if (rows.length === 0) throw replaced(name, epoch)
}

/** Notes that the sink writes to this topic what is after `after`; before it writes anything. Throws `fenced`. */
export async function beginSinkTopic(
  sql: SqlExecutor,
  begun: { readonly name: string; readonly epoch: bigint; readonly topic: string; readonly after: bigint },
): Promise<void> {
  const { rows } = await sql.query(
    `${fenced} update evt.sinks s set topics = jsonb_build_object($2::text, $4::text) || s.topics
     from leader where s.name = $1 returning s.name`,
    [begun.name, begun.topic, String(begun.epoch), String(begun.after)],
  )
  if (rows.length === 0) throw replaced(begun.name, begun.epoch)
}

function replaced(name: string, epoch: bigint): EvtError {
  return new EvtError('fenced', `cannot move sink ${name}: epoch ${epoch} was replaced`)
}
