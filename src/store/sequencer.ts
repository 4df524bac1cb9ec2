import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'

export interface Step {
  /** Events that got a position in this step. */
  readonly sequenced: number
  /** The last position given so far. */
  readonly head: bigint
  /** There is more to sequence at once. */
  readonly more: boolean
}

/**
 * One step of the sequencer, in one transaction: gives dense positions to at most `limit` events that became visible, and
 * moves the cursor. Throws `fenced` when `epoch` no longer leads; then nothing happened.
 */
export async function tick(sql: SqlExecutor, epoch: bigint, limit: number): Promise<Step> {
  try {
    const { rows } = await sql.query('select sequenced, head, more from evt.tick($1, $2)', [String(epoch), limit])
    const row = rows[0] as { sequenced: number; head: string; more: boolean }
    return { sequenced: row.sequenced, head: BigInt(row.head), more: row.more }
  } catch (error) {
    throw asFenced(error, epoch) ?? error
  }
}

export interface Unsequenced {
  /** Counted up to the bound that was asked for. */
  readonly events: number
  readonly oldestMs: number | undefined
}

/** What was committed and has no position yet. Reads only; `atMost` bounds the cost. */
export async function readUnsequenced(sql: SqlExecutor, atMost: number): Promise<Unsequenced> {
  const { rows } = await sql.query(
    `select events::int, date_part('epoch', oldest) * 1000 as oldest_ms from evt.unsequenced($1)`,
    [atMost],
  )
  const row = rows[0] as { events: number; oldest_ms: number | null }
  return { events: row.events, oldestMs: row.oldest_ms ?? undefined }
}

/**
 * Two leaders stepped at the same moment: numbers of steps and positions are unique, so one of them has done nothing. Which
 * index tells it depends on what the step found: the log's, that of `refused` or that of `ticks`.
 */
function asFenced(error: unknown, epoch: bigint): EvtError | undefined {
  const { code, schema } = error as { code?: unknown; schema?: unknown }
  if (code !== '23505' || schema !== 'evt') return undefined
  return new EvtError('fenced', `cannot sequence: epoch ${epoch} was replaced`, { cause: error })
}
