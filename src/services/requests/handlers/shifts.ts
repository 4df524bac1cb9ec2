import { defineHandler, type HandlerContext } from '../../../index.ts'
import { shiftAssigned, shiftCreated, shiftTransferred, shiftUpdated } from '../contracts.ts'
import { illegal, type Moves, placeOf, stateAfter } from '../life-cycle.ts'

/** An executor can be in one place at a time. */
export class ShiftConflict extends Error {
  override readonly name = 'ShiftConflict'
}

const moves: Moves = {
  [shiftCreated.type]: { from: [undefined], to: 'created' },
  [shiftUpdated.type]: { from: ['created', 'assigned'] },
  [shiftAssigned.type]: { from: ['created'], to: 'assigned' },
  [shiftTransferred.type]: { from: ['assigned'], to: 'assigned' },
}

interface Row {
  readonly status: string
  readonly executor_id: string | null
  readonly is_old: boolean
}

/** Who works when. No executor has two shifts at the same time: the constraint holds that, and the look before it says it in words. */
export const shifts = defineHandler({
  name: 'requests.shifts',
  on: [shiftCreated, shiftUpdated, shiftAssigned, shiftTransferred],
  nonRetryable: [...illegal, 'ShiftConflict'],
  async handle({ id, type, time, data }, ctx) {
    const { sql } = ctx
    const [place, { shift_id }] = [placeOf(ctx), data]
    const [row] = await sql<Row>`
      select status, executor_id, event_id = ${id} or position > ${place} as is_old
      from requests.shifts where shift_id = ${shift_id} for update`
    if (row?.is_old) return
    const thing = { name: `shift ${shift_id}`, state: row?.status }
    if ('district' in data) {
      await sql`
        insert into requests.shifts (shift_id, district, hours, status, event_id, position)
        values (${shift_id}, ${data.district}, ${hoursOf(data)}, ${stateAfter(moves, type, thing)}, ${id}, ${place})`
      return
    }
    const isChange = 'changes' in data
    const status = stateAfter(moves, type, thing)
    const executor = isChange ? row?.executor_id : data.executor_id
    const hours = isChange ? hoursOf(data) : null
    await assertFree(sql, { shift_id, executor, hours })
    await sql`
      update requests.shifts set status = ${status}, executor_id = ${executor}, hours = coalesce(${hours}::tstzrange, hours),
        event_id = ${id}, position = ${place}
      where shift_id = ${shift_id}`
    if (type === shiftTransferred.type && !isChange)
      await sql`
        insert into requests.transfers (event_id, shift_id, from_executor_id, to_executor_id, reason, transferred_at)
        values (${id}, ${shift_id}, ${row?.executor_id}, ${executor}, ${'reason' in data ? data.reason : null}, ${time})
        on conflict (event_id) do nothing`
  },
})

function hoursOf({
  starts_at,
  duration_minutes,
}: {
  readonly starts_at: string
  readonly duration_minutes: number
}): string {
  return `[${starts_at},${new Date(Date.parse(starts_at) + duration_minutes * 60_000).toISOString()})`
}

interface Wanted {
  readonly shift_id: string
  readonly executor: number | string | null | undefined
  /** Null: those that it has. */
  readonly hours: string | null
}

async function assertFree(sql: HandlerContext['sql'], { shift_id, executor, hours }: Wanted): Promise<void> {
  if (executor === null || executor === undefined) return
  const [other] = await sql<{ shift_id: string }>`
    select o.shift_id from requests.shifts o, requests.shifts own
    where own.shift_id = ${shift_id} and o.shift_id <> own.shift_id and o.executor_id = ${executor}
      and o.hours && coalesce(${hours}::tstzrange, own.hours)
    limit 1`
  if (!other) return
  throw new ShiftConflict(
    `executor ${executor} cannot have shift ${shift_id}: shift ${other.shift_id} is at the same time`,
  )
}
