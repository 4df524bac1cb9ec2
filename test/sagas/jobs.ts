import { z } from 'zod'
import { createRegistry, defineEvent, defineSaga, type Saga, type SagaOptions } from '../../src/index.ts'

const job = z.object({ id: z.string() })
export const started = defineEvent('job.started', { 1: job })
export const loaded = defineEvent('job.loaded', { 1: job })
export const checked = defineEvent('job.checked', { 1: job })
const finished = defineEvent('job.finished', { 1: job })
const failed = defineEvent('job.failed', { 1: job.extend({ reason: z.string() }) })
export const registry = createRegistry([started, loaded, checked, finished, failed])

export const byId = ({ data }: { readonly data: { readonly id: string } }) => data.id
export const state = z.object({ id: z.string(), log: z.array(z.string()).default([]) })
export type JobState = z.infer<typeof state>

/** What tests say of a saga; the rest is the same for all. */
export const jobs = (
  own: Pick<SagaOptions<JobState, { id: string }>, 'steps'> & Partial<SagaOptions<JobState, { id: string }>>,
): Saga =>
  defineSaga<JobState, { id: string }>({
    name: 'jobs.import',
    startsOn: started,
    correlate: byId,
    state,
    start: 'earliest',
    onCompleted: ({ id }, ctx) => ctx.publish({ type: 'job.finished', data: { id } }),
    onFailed: ({ id }, ctx) => ctx.publish({ type: 'job.failed', data: { id, reason: ctx.reason } }),
    ...own,
  })
