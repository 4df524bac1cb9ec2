import type { SqlExecutor } from '../../transports/transport.ts'

/** How the server's clock stands to ours. */
export interface ClockOffset {
  /** Server's clock, µs since the epoch, minus the run's clock. */
  readonly offsetUs: number
  /** The offset may be wrong by this much: half the fastest round trip. */
  readonly errorUs: number
}

const pings = 30

/** Asks the server for its time; the fastest answer is the most exact one. */
export async function measureClock(sql: SqlExecutor, clock: () => number): Promise<ClockOffset> {
  let best: ClockOffset = { offsetUs: 0, errorUs: Infinity }
  for (let i = 0; i < pings; i++) {
    const beforeUs = clock()
    const { rows } = await sql.query('select (extract(epoch from clock_timestamp()) * 1e6)::bigint::text as us')
    const afterUs = clock()
    const errorUs = (afterUs - beforeUs) / 2
    if (errorUs < best.errorUs) best = { offsetUs: Number(rows[0]?.us) - (beforeUs + afterUs) / 2, errorUs }
  }
  return best
}
