import { defineHandler } from '../../../index.ts'
import { assignmentAccepted, assignmentCompleted, assignmentCreated, assignmentRejected } from '../contracts.ts'
import { illegal, type Moves, placeOf, stateAfter } from '../life-cycle.ts'
import { NobodyFree, offer, takeBack } from '../offer.ts'

const moves: Moves = {
  [assignmentCreated.type]: { from: [undefined], to: 'created' },
  [assignmentAccepted.type]: { from: ['created'], to: 'accepted' },
  [assignmentRejected.type]: { from: ['created'], to: 'rejected' },
  [assignmentCompleted.type]: { from: ['accepted'], to: 'completed' },
}

/** Who was asked for what, and what they said. A request that is refused is offered to the next. */
export const assignments = defineHandler({
  name: 'requests.assignments',
  on: [assignmentCreated, assignmentAccepted, assignmentRejected, assignmentCompleted],
  priority: 'high',
  transaction: 'event',
  nonRetryable: illegal,
  async handle({ id, type, time, data }, ctx) {
    const { sql } = ctx
    const place = placeOf(ctx)
    const { assignment_id, request_id, executor_id } = data
    const [row] = await sql<{ status: string; is_old: boolean }>`
      select status, event_id = ${id} or position > ${place} as is_old
      from requests.assignments where assignment_id = ${assignment_id} for update`
    if (row?.is_old) return
    const status = stateAfter(moves, type, { name: `assignment ${assignment_id}`, state: row?.status })
    const reason = 'reason' in data ? data.reason : null
    await sql`
      insert into requests.assignments
        (assignment_id, request_id, executor_id, status, reason, created_at, changed_at, event_id, position)
      values (${assignment_id}, ${request_id}, ${executor_id}, ${status}, ${reason}, ${time}, ${time}, ${id}, ${place})
      on conflict (assignment_id) do update set status = excluded.status, reason = excluded.reason,
        changed_at = excluded.changed_at, event_id = excluded.event_id, position = excluded.position`
    if (type === assignmentCreated.type) {
      // Waits for whoever cancels it now (`requests.requests`): one of the two sees what the other has done.
      const [request] = await sql<{ status: string }>`
        select status from requests.requests where request_id = ${request_id} for share`
      if (request?.status === 'completed' || request?.status === 'cancelled') await takeBack(ctx, data)
      return
    }
    if (!('reason' in data) || data.is_final) return
    const [request] = await sql<{ category: string }>`
      select category from requests.requests where request_id = ${request_id} and status = 'created'`
    if (!request) return
    try {
      await offer(ctx, { request_id, category: request.category })
    } catch (error) {
      // The saga asks again when its time is up.
      if (!(error instanceof NobodyFree)) throw error
      ctx.log.warn('nobody is left to be asked', { request: request_id })
    }
  },
})
