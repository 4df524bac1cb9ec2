import { defineHandler } from '../../../index.ts'
import { errorOccurred } from '../contracts.ts'

/** Each thing that was wrong, by field. */
export const errors = defineHandler({
  name: 'validation.errors',
  on: [errorOccurred],
  async handle(event, ctx) {
    const { runId, phase, fieldPath, code, message } = event.data
    await ctx.sql`
      insert into validation.errors (event_id, run_id, phase, field_path, code, message, event_time)
      values (${event.id}, ${runId}, ${phase}, ${fieldPath}, ${code}, ${message}, ${event.time}) on conflict (event_id) do nothing`
  },
})
