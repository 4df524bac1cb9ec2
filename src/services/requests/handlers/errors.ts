import { defineHandler } from '../../../index.ts'
import { systemError } from '../contracts.ts'

/** Every error that a service reports; what adds up is a view. */
export const errors = defineHandler({
  name: 'requests.errors',
  on: [systemError],
  priority: 'low',
  linger: '50ms',
  async handle({ id, time, data }, ctx) {
    await ctx.sql`
      insert into requests.errors (event_id, service, error_type, message, severity, happened_at)
      values (${id}, ${data.service}, ${data.error_type}, ${data.message}, ${data.severity}, ${time})
      on conflict (event_id) do nothing`
  },
})
