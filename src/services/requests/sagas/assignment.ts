import { z } from 'zod'
import { defineSaga, type SagaContext } from '../../../index.ts'
import {
  assignmentAccepted,
  assignmentCompleted,
  assignmentRejected,
  requestAssigned,
  requestCancelled,
  requestCompleted,
  requestCreated,
  trades,
} from '../contracts.ts'
import { offer } from '../offer.ts'

const state = z.object({
  request_id: z.uuid(),
  category: z.enum(trades),
  dispatch: z.enum(['automatic', 'by_hand']),
  executor_id: z.int().optional(),
})
type State = z.infer<typeof state>

const byRequest = ({ data }: { readonly data: { readonly request_id: string } }) => data.request_id

/**
 * From a request to its end: it is offered to an executor, who accepts within the time or is asked no more; when the work is done, so is
 * the request. A request that nobody takes is cancelled.
 */
export const assignment = defineSaga({
  name: 'requests.assignment',
  startsOn: requestCreated,
  correlate: byRequest,
  state,
  begin: ({ data }) => ({ request_id: data.request_id, category: data.category, dispatch: data.dispatch }),
  cancelledBy: { event: requestCancelled, correlate: byRequest },
  timeout: '30d',
  steps: ({ step }) => [
    step('accepted', {
      run: (of, ctx) => ask(of, ctx),
      awaits: assignmentAccepted,
      correlate: byRequest,
      timeout: '15m',
      onTimeout: 'retry',
      retry: { attempts: 5, initial: '1s', max: '30s' },
      on: async (of, { data }, ctx) => {
        of.executor_id = data.executor_id
        const { request_id, executor_id, assignment_id } = data
        await tell(ctx, requestAssigned.type, { request_id, executor_id, assignment_id })
      },
    }),
    step('done', {
      awaits: assignmentCompleted,
      correlate: byRequest,
      timeout: '14d',
      on: (_, { data: { request_id, executor_id, report } }, ctx) =>
        tell(ctx, requestCompleted.type, { request_id, executor_id, ...(report === undefined ? {} : { report }) }),
    }),
  ],
  onFailed: async (of, ctx) => {
    // Who cancelled it knows.
    if (!ctx.reason.includes(requestCancelled.type))
      await tell(ctx, requestCancelled.type, { request_id: of.request_id, reason: ctx.reason.slice(0, 500) })
  },
})

/** The first time it is offered; afterwards who has not answered is asked no more, and the next one is (`requests.assignments`). */
async function ask(of: State, ctx: SagaContext): Promise<void> {
  if (ctx.attempt > 1 && (await withdraw(of, ctx, { reason: 'no answer in time' }))) return
  if (ctx.attempt === 1 && of.dispatch === 'by_hand') return
  await offer(ctx, of)
}

/** False when nobody is being asked. */
async function withdraw({ request_id }: State, ctx: SagaContext, said: { readonly reason: string }): Promise<boolean> {
  const [open] = await ctx.sql<{ assignment_id: string; executor_id: string }>`
    select assignment_id, executor_id from requests.assignments where request_id = ${request_id} and status = 'created' limit 1`
  if (!open) return false
  const { assignment_id } = open
  const data = { assignment_id, request_id, executor_id: Number(open.executor_id), ...said }
  await ctx.publish({ type: assignmentRejected.type, subject: `assignment/${assignment_id}`, data })
  return true
}

const tell = (
  ctx: SagaContext,
  type: string,
  data: { readonly request_id: string; readonly [field: string]: unknown },
) => ctx.publish({ type, subject: `request/${data.request_id}`, data })
