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

const settleOne = 'select evt.settle_lane($1, $2, $3, $4)'
const settleSeveral = 'select evt.settle_lanes($1::text[], $2::smallint[], $3::bigint[], $4::bigint[])'

/**
 * In the caller's transaction: moves the positions and keeps the lanes until it ends. It is the server that refuses (`fenced`),
 * also where we know already: what the caller has sent behind it must fail with it.
 */
export async function settleInSql(
  sql: SqlExecutor,
  lanes: ReadonlySet<unknown>,
  progress: readonly LaneProgress[],
): Promise<void> {
  if (progress.length === 0) return
  const isOurs = (lane: unknown): lane is LogLane => lanes.has(lane)
  const rows = progress.map(({ lane, done }) => {
    if (!isOurs(lane)) return ['', 0, '-1', '0']
    const position = lane.progress(done)
    lane.settlesIn(position)
    return [lane.group, lane.index, String(lane.epoch), String(position)]
  })
  const [one] = rows
  if (one && rows.length === 1) await sql.query(settleOne, one)
  else await sql.query(settleSeveral, columnsOf(rows))
}

const columnsOf = (rows: readonly (readonly unknown[])[]) =>
  [0, 1, 2, 3].map((column) => rows.map((row) => row[column]))

// Lanes that a handler's transaction has locked are passed over: it writes their position itself. So is what is beyond the end of the
// log: it was read on a server that this one replaced.
const flushText = `with free as (
  select l.group_name, l.lane, v.position from evt.lanes l join ${given} on ${same}
  where l.position < v.position and v.position <= evt.head() for update of l skip locked
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
