// The events of validations and of their performance. Type, time and correlation travel in the envelope.
import { z } from 'zod'
import { defineEvent, sensitive } from '../../index.ts'

export const phases = ['parse', 'schema', 'rules', 'references'] as const
export type Phase = (typeof phases)[number]

const runId = z.uuid()
const record = z.object({ runId, kind: z.enum(['customer', 'invoice']), recordId: z.string().min(1).max(100) })
const durationMs = z.number().min(0)
const phase = z.object({ runId, phase: z.enum(phases) })

/** Somebody wants a record accepted; `body` is its JSON as it came, which may be broken. */
export const validationSubmitted = defineEvent('validation.submitted', {
  1: record.extend({ body: sensitive(z.string().max(100_000)) }),
})
export const validationStarted = defineEvent('validation.started', { 1: record })
export const validationCompleted = defineEvent('validation.completed', { 1: record.extend({ durationMs }) })
export const validationFailed = defineEvent('validation.failed', {
  1: record.extend({ durationMs, phase: z.enum(phases), errors: z.int().min(1) }),
})
export const phaseStarted = defineEvent('validation.phase.started', { 1: phase })
export const phaseCompleted = defineEvent('validation.phase.completed', { 1: phase.extend({ durationMs }) })
export const phaseFailed = defineEvent('validation.phase.failed', {
  1: phase.extend({ durationMs, errors: z.int().min(1) }),
})
/** One of the things that are wrong with a record: where, and why, without its value. */
export const errorOccurred = defineEvent('validation.error.occurred', {
  1: phase.extend({ fieldPath: z.string().max(300), code: z.string().max(60), message: z.string().max(300) }),
})

const status = z.enum(['started', 'completed', 'failed'])

/** Version 1 is the PerformanceEvent of the design; version 2 is what the performance coordinator says. */
const firstMeasured = z.object({
  context_id: z.string().min(1).max(200),
  field_path: z.string().max(300).optional(),
  operation: z.string().min(1).max(100),
  duration_ms: z.number().min(0),
  resource_usage: z.object({ cpu_percent: z.number().min(0), memory_mb: z.number().min(0) }).optional(),
  phase: z.string().max(100).optional(),
  status,
})
const measured = z.object({
  contextId: z.string().min(1).max(200),
  fieldPath: z.string().max(300).optional(),
  operation: z.string().min(1).max(100),
  durationMs,
  resourceUsage: z
    .object({ cpuMs: z.number().min(0), rssBytes: z.number().min(0), heapBytes: z.number().min(0) })
    .optional(),
  phase: z.string().max(100).optional(),
  status,
})
const upcast = (old: z.infer<typeof firstMeasured>): z.infer<typeof measured> => {
  const { resource_usage: used } = old
  const bytes = (used?.memory_mb ?? 0) * 1_048_576
  return {
    contextId: old.context_id,
    operation: old.operation,
    durationMs: old.duration_ms,
    status: old.status,
    ...(old.field_path === undefined ? {} : { fieldPath: old.field_path }),
    ...(old.phase === undefined ? {} : { phase: old.phase }),
    ...(used && {
      resourceUsage: { cpuMs: (used.cpu_percent / 100) * old.duration_ms, rssBytes: bytes, heapBytes: bytes },
    }),
  }
}
const versions = { 1: firstMeasured, 2: { schema: measured, upcast } } as const

export const metricRecorded = defineEvent('performance.metric.recorded', versions)
export const performancePhaseStart = defineEvent('performance.phase.start', versions)
export const performancePhaseComplete = defineEvent('performance.phase.complete', versions)
export const performanceOperationComplete = defineEvent('performance.operation.complete', versions)

export const performanceContracts = [
  metricRecorded,
  performancePhaseStart,
  performancePhaseComplete,
  performanceOperationComplete,
]
export const contracts = [
  validationSubmitted,
  validationStarted,
  validationCompleted,
  validationFailed,
  phaseStarted,
  phaseCompleted,
  phaseFailed,
  errorOccurred,
  ...performanceContracts,
]
