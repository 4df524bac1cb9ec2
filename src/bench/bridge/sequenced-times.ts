import type { SqlExecutor } from '../../transports/transport.ts'
import type { ClockOffset } from './database-clock.ts'
import { kOf, type ScratchNames } from './names.ts'

const query = `
  select o.id, (extract(epoch from l.sequenced_at) * 1e6)::bigint::text as us
  from evt.log l join evt.outbox o on o.class = l.class and o.day = l.day and o.xid = l.xid and o.seq = l.seq
  where l.position > $1 and l.class = 'scratch' and o.type = $2`

interface Question {
  readonly names: ScratchNames
  readonly total: number
  /** Position of the log before the run. */
  readonly after: bigint
  readonly clock: ClockOffset
}

/** When the sequencer gave event k its position, µs on the run's clock; 0 where it has none. */
export async function readSequencedTimes(
  sql: SqlExecutor,
  { names, total, after, clock }: Question,
): Promise<Float64Array> {
  const { rows } = await sql.query(query, [String(after), names.type])
  const times = new Float64Array(total)
  for (const row of rows) {
    const k = kOf(names.run, String(row.id))
    if (k >= 0 && k < total) times[k] = Number(row.us) - clock.offsetUs
  }
  return times
}
