import { defineHandler } from '../../../index.ts'
import { metricRecorded, performanceOperationComplete, performancePhaseComplete } from '../contracts.ts'

/** Every measurement, whoever took it; `validation.performance` adds them up by the minute. */
export const metrics = defineHandler({
  name: 'validation.metrics',
  on: [metricRecorded, performancePhaseComplete, performanceOperationComplete],
  priority: 'low',
  linger: '50ms',
  ordering: 'none',
  async handle(event, ctx) {
    const { contextId, operation, phase, fieldPath, durationMs, status, resourceUsage: used } = event.data
    await ctx.sql`
      insert into validation.samples
        (event_id, context_id, operation, phase, field_path, duration_ms, status, cpu_ms, rss_bytes, trace, event_time)
      values (${event.id}, ${contextId}, ${operation}, ${phase ?? null}, ${fieldPath ?? null}, ${durationMs}, ${status},
        ${used?.cpuMs ?? null}, ${used?.rssBytes ?? null}, ${event.traceparent ?? null}, ${event.time})
      on conflict (event_id) do nothing`
  },
})
