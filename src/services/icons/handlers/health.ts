import { defineHandler } from '../../../index.ts'
import { healthReported, performanceReported } from '../contracts.ts'

/** The latest health of every service, and every performance sample. */
export const health = defineHandler({
  name: 'icons.health',
  on: [healthReported, performanceReported],
  priority: 'low',
  linger: '50ms',
  async handle(event, ctx) {
    const report = event.data.system_data
    if ('status' in report) {
      await ctx.sql`
        insert into icons.health (service, status, checks, event_time)
        values (${report.service}, ${report.status}, ${JSON.stringify(report.checks)}, ${event.time})
        on conflict (service) do update set
          status = excluded.status, checks = excluded.checks, event_time = excluded.event_time
        where icons.health.event_time <= excluded.event_time`
    } else {
      await ctx.sql`
        insert into icons.performance_samples (event_id, service, operation, duration_ms, memory_bytes, event_time)
        values (${event.id}, ${report.service}, ${report.operation}, ${report.duration_ms}, ${report.memory_bytes}, ${event.time})
        on conflict (event_id) do nothing`
    }
  },
})
