import { defineHandler } from '../../../index.ts'
import { systemHealthCheck } from '../contracts.ts'
import { placeOf } from '../life-cycle.ts'

/** The latest health of every service. */
export const health = defineHandler({
  name: 'requests.health',
  on: [systemHealthCheck],
  priority: 'low',
  linger: '50ms',
  async handle({ time, data }, ctx) {
    await ctx.sql`
      insert into requests.health (service, status, checks, checked_at, position)
      values (${data.service}, ${data.status}, ${JSON.stringify(data.checks)}, ${time}, ${placeOf(ctx)})
      on conflict (service) do update set status = excluded.status, checks = excluded.checks,
        checked_at = excluded.checked_at, position = excluded.position
      where requests.health.checked_at <= excluded.checked_at`
  },
})
