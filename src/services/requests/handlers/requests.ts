import { defineHandler } from '../../../index.ts'
import { requestAssigned, requestCancelled, requestCompleted, requestCreated, requestUpdated } from '../contracts.ts'
import { illegal, type Moves, placeOf, stateAfter } from '../life-cycle.ts'
import { takeBack } from '../offer.ts'

const moves: Moves = {
  [requestCreated.type]: { from: [undefined], to: 'created' },
  // What is asked for may change until it is done.
  [requestUpdated.type]: { from: ['created', 'assigned'] },
  [requestAssigned.type]: { from: ['created', 'assigned'], to: 'assigned' },
  [requestCompleted.type]: { from: ['assigned'], to: 'completed' },
  [requestCancelled.type]: { from: ['created', 'assigned'], to: 'cancelled' },
}

/** What becomes of each request: created, updated, assigned, and completed or cancelled in the end. */
export const requests = defineHandler({
  name: 'requests.requests',
  on: [requestCreated, requestUpdated, requestAssigned, requestCompleted, requestCancelled],
  priority: 'high',
  transaction: 'event',
  nonRetryable: illegal,
  async handle({ id, type, time, data }, ctx) {
    const { sql } = ctx
    const place = placeOf(ctx)
    const [row] = await sql<{ status: string; is_old: boolean }>`
      select status, event_id = ${id} or position > ${place} as is_old
      from requests.requests where request_id = ${data.request_id} for update`
    if (row?.is_old) return
    const thing = { name: `request ${data.request_id}`, state: row?.status }
    if ('category' in data) {
      await sql`
        insert into requests.requests
          (request_id, user_id, category, urgency, description, status, created_at, changed_at, event_id, position)
        values (${data.request_id}, ${data.user_id}, ${data.category}, ${data.urgency}, ${data.description},
          ${stateAfter(moves, type, thing)}, ${time}, ${time}, ${id}, ${place})`
      return
    }
    const status = stateAfter(moves, type, thing)
    const [urgency, description] = 'changes' in data ? [data.urgency, data.description] : []
    await sql`
      update requests.requests set status = ${status}, urgency = coalesce(${urgency}, urgency),
        description = coalesce(${description}, description),
        executor_id = coalesce(${'executor_id' in data ? data.executor_id : null}, executor_id),
        reason = ${'reason' in data ? data.reason : null}, changed_at = ${time}, event_id = ${id}, position = ${place}
      where request_id = ${data.request_id}`
    if (status !== 'cancelled') return
    const { request_id } = data
    const asked = await sql<{ assignment_id: string; executor_id: string }>`
      select assignment_id, executor_id from requests.assignments where request_id = ${request_id} and status = 'created'`
    for (const { assignment_id, executor_id } of asked)
      await takeBack(ctx, { assignment_id, request_id, executor_id: Number(executor_id) })
  },
})
