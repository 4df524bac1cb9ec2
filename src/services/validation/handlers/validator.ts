import { createPerformanceCoordinator, defineHandler, type NewEvent, publishersOf } from '../../../index.ts'
import * as contracts from '../contracts.ts'
import { runPhases } from '../run-phases.ts'

/**
 * Validates what is submitted, phase by phase, and tells each as an event. A record that passes is kept, and may be named by others. All of
 * it commits together: nobody sees a run that was begun and not ended.
 */
export const validator = defineHandler({
  name: 'validation.validator',
  on: [contracts.validationSubmitted],
  priority: 'high',
  async handle(event, ctx) {
    const { body, ...record } = event.data
    const { runId, kind, recordId } = record
    const told: NewEvent[] = []
    const tell = publishersOf((one) => void told.push(one), contracts)
    const about = { subject: event.subject ?? `record/${recordId}` }
    const coordinator = createPerformanceCoordinator({
      // Of the submission's correlation, as all that it causes.
      publish: ({ correlationId: _, ...one }) => void told.push(one),
    })
    const began = performance.now()
    tell.validationStarted(record, about)
    const verdict = await runPhases(event.data, {
      coordinator,
      contextId: about.subject,
      listener: {
        started: (phase) => tell.phaseStarted({ runId, phase }, about),
        ended(phase, durationMs, findings) {
          if (findings.length === 0) tell.phaseCompleted({ runId, phase, durationMs }, about)
          for (const finding of findings) tell.errorOccurred({ runId, phase, ...finding }, about)
          if (findings.length > 0) tell.phaseFailed({ runId, phase, durationMs, errors: findings.length }, about)
        },
      },
      async isAccepted(reference) {
        const { kind: of, recordId: id } = reference
        return (await ctx.sql`select from validation.records where kind = ${of} and record_id = ${id}`).length > 0
      },
    })
    const durationMs = performance.now() - began
    if (verdict.isValid) {
      tell.validationCompleted({ ...record, durationMs }, about)
      await ctx.sql`
        insert into validation.records (kind, record_id, run_id, body, event_time)
        values (${kind}, ${recordId}, ${runId}, ${JSON.stringify(verdict.record)}, ${event.time})
        on conflict (kind, record_id) do update set run_id = excluded.run_id, body = excluded.body, event_time = excluded.event_time
        where validation.records.event_time <= excluded.event_time`
    } else {
      const { phase, findings } = verdict
      tell.validationFailed({ ...record, durationMs, phase, errors: findings.length }, about)
    }
    // In this order, without waiting for one before the next is sent.
    await Promise.all(told.map((one) => ctx.publish(one)))
  },
})
