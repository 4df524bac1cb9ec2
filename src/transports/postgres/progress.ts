import { EvtError } from '../../core/errors.ts'
import type { LaneProgress, SqlExecutor } from '../transport.ts'
import type { LogLane } from './lane.ts'

/** A position of one lane, to be written only while its owner is this one. */
export interface LanePosition {
  readonly lane: LogLane
  readonly position: bigint
}

const given = `unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[]) v (group_name, lane, epoch, position)`
const same = `l.group_name = v.group_name and l.lane = v.lane and l.epoch = v.epoch`

function valuesOf(positions: readonly LanePosition[]): readonly unknown[] {
  return [
    positions.map(({ lane }) => lane.group),
    positions.map(({ lane }) => lane.index),
    positions.map(({ lane }) => String(lane.epoch)),
    positions.map(({ position }) => String(position)),
  ]
}

const settleText = `update evt.lanes l set position = greatest(l.position, v.position) from ${given} where ${same} returning l.lane`

/** In the caller's transaction: moves the positions and keeps the lanes until it ends. Throws `fenced`. */
export async function settleInSql(
  sql: SqlExecutor,
  lanes: ReadonlySet<unknown>,
  progress: readonly LaneProgress[],
): Promise<void> {
  if (progress.length === 0) return
  const positions = progress.map(({ lane, done }) => {
    if (!isOurs(lane, lanes)) throw fenced(`lane ${lane.id}`)
    return { lane, position: lane.progress(done) }
  })
  const { rows } = await sql.query(settleText, valuesOf(positions))
  if (rows.length !== positions.length) throw fenced(`${positions.length - rows.length} of ${positions.length} lanes`)
}

function isOurs(lane: unknown, lanes: ReadonlySet<unknown>): lane is LogLane {
  return lanes.has(lane)
}

function fenced(what: string): EvtError {
  return new EvtError('fenced', `cannot settle: ${what} of this process went to another owner`)
}

// Lanes that a handler's transaction has locked are passed over: it writes their position itself.
const flushText = `with free as (
  select l.group_name, l.lane, v.position from evt.lanes l join ${given} on ${same}
  where l.position < v.position for update of l skip locked
)
update evt.lanes l set position = v.position from free v where l.group_name = v.group_name and l.lane = v.lane
returning l.group_name, l.lane`

const startText = `update evt.lane_starts l set started_to = v.position from ${given} where ${same} returning l.group_name, l.lane`

const nameOf = (group: string, lane: number) => `${group} ${lane}`

async function written(
  sql: SqlExecutor,
  text: string,
  positions: readonly LanePosition[],
): Promise<readonly boolean[]> {
  const { rows } = await sql.query(text, valuesOf(positions))
  const names = new Set(rows.map((row) => nameOf(String(row.group_name), Number(row.lane))))
  return positions.map(({ lane }) => names.has(nameOf(lane.group, lane.index)))
}

/** Which of them were written. */
export const flushPositions = (sql: SqlExecutor, positions: readonly LanePosition[]) =>
  written(sql, flushText, positions)

/** Which of them are still owned. */
export const markStarts = (sql: SqlExecutor, positions: readonly LanePosition[]) => written(sql, startText, positions)
