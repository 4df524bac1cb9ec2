import { defineHandler } from '../../../index.ts'
import {
  phaseCompleted,
  phaseFailed,
  phaseStarted,
  validationCompleted,
  validationFailed,
  validationStarted,
} from '../contracts.ts'

/** Follows every validation by its events alone: runs, phases and what was wrong. What adds up are views over them. */
export const monitoring = defineHandler({
  name: 'validation.monitoring',
  on: [validationStarted, validationCompleted, validationFailed, phaseStarted, phaseCompleted, phaseFailed],
  linger: '50ms',
  async handle(event, ctx) {
    const { data, time } = event
    const status = event.type.split('.').at(-1)
    const took = 'durationMs' in data ? data.durationMs : null
    if (!('kind' in data)) {
      await ctx.sql`
        insert into validation.phases (run_id, phase, status, duration_ms, event_time)
        values (${data.runId}, ${data.phase}, ${status}, ${took}, ${time})
        on conflict (run_id, phase) do update set
          status = excluded.status, duration_ms = excluded.duration_ms, event_time = excluded.event_time
        where validation.phases.event_time <= excluded.event_time and validation.phases.status = 'started'`
      return
    }
    await ctx.sql`
      insert into validation.runs (run_id, kind, record_id, status, duration_ms, trace, event_time)
      values (${data.runId}, ${data.kind}, ${data.recordId}, ${status}, ${took}, ${event.traceparent ?? null}, ${time})
      on conflict (run_id) do update set
        status = excluded.status, duration_ms = excluded.duration_ms, event_time = excluded.event_time
      where validation.runs.event_time <= excluded.event_time and validation.runs.status = 'started'`
  },
})
