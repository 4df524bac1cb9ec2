import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineEvent, defineSaga, type EvtEvent, type SagaOptions } from '../../src/index.ts'

const started = defineEvent('job.started', { 1: z.object({ jobId: z.string() }) })
const done = defineEvent('job.done', { 1: z.object({ jobId: z.string(), rows: z.number() }) })
const refused = defineEvent('job.refused', { 1: z.object({ jobId: z.string(), why: z.string() }) })
const state = z.object({ jobId: z.string(), rows: z.number().optional() })
type State = z.infer<typeof state>

const whole: SagaOptions<State, { jobId: string }> = {
  name: 'jobs.import',
  startsOn: started,
  state,
  steps: ({ step }) => [step('work', { run: () => {} })],
}

describe('defineSaga', () => {
  it.each<[string, Partial<SagaOptions<State, { jobId: string }>>]>([
    ['a name is lower-case words with dots', { name: 'Jobs Import' }],
    ['it has no steps', { steps: () => [] }],
    [
      'it has two steps of the name work',
      { steps: ({ step }) => [step('work', { run() {} }), step('work', { run() {} })] },
    ],
    ['step work does nothing and waits for nothing', { steps: ({ step }) => [step('work', {})] }],
    [
      'step work has `timeout` and waits for nothing',
      { steps: ({ step }) => [step('work', { run() {}, timeout: '1s' })] },
    ],
    [
      'step work has `from` or `sender` alone',
      { steps: ({ step }) => [step('work', { awaits: done, from: () => ['a'] })] },
    ],
    [
      'step work does not say which saga a job.done belongs to',
      { correlate: ({ data }) => data.jobId, steps: ({ step }) => [step('work', { awaits: done })] },
    ],
    [
      'step work has `onTimeout` and no `timeout`',
      { steps: ({ step }) => [step('work', { awaits: done, onTimeout: 'retry' })] },
    ],
    [
      'step work is done and refused by the same event',
      { steps: ({ step }) => [step('work', { awaits: done, refusedBy: done })] },
    ],
    ['cancelledBy is the event that begins it', { cancelledBy: { event: started } }],
    [
      'cancelledBy does not say which saga a job.refused belongs to',
      { correlate: ({ data }) => data.jobId, cancelledBy: { event: refused } },
    ],
    ['one of its `parallel` has no steps', { steps: ({ parallel }) => [parallel([])] }],
    ['timeout: cannot read duration', { timeout: '5 minutes' }],
    ['concurrency is 0', { concurrency: 0 }],
    ['retry.attempts of step work is 0', { steps: ({ step }) => [step('work', { run() {}, retry: { attempts: 0 } })] }],
  ])('refuses a saga: %s', (reason, wrong) => {
    expect(() => defineSaga({ ...whole, ...wrong })).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(reason) }),
    )
  })

  it('gives each step the data of its contracts and the state of the saga', () => {
    defineSaga({
      name: 'jobs.import',
      startsOn: started,
      correlate(event) {
        expectTypeOf(event).toEqualTypeOf<EvtEvent<{ jobId: string }>>()
        return event.data.jobId
      },
      state,
      steps: ({ step, parallel }) => [
        step('work', {
          run(own, ctx) {
            expectTypeOf(own).toEqualTypeOf<State>()
            return ctx.publish({ type: 'job.asked', data: { id: own.jobId } })
          },
          awaits: done,
          refusedBy: refused,
          correlate(event) {
            expectTypeOf(event).toEqualTypeOf<
              EvtEvent<{ jobId: string; rows: number } | { jobId: string; why: string }>
            >()
            return event.data.jobId
          },
          on(own, event) {
            expectTypeOf(event.data).toEqualTypeOf<{ jobId: string; rows: number }>()
            own.rows = event.data.rows
            // @ts-expect-error the state has no such field
            own.row = 1
            // @ts-expect-error the event has no such field
            event.data.why
          },
        }),
        parallel([step('one', { run() {} }), step('two', { run() {} })]),
        // @ts-expect-error the answer has no such field
        step('late', { awaits: refused, correlate: ({ data }) => data.rows }),
      ],
      onCompleted: (own) => expectTypeOf(own).toEqualTypeOf<State>(),
      onFailed: (_own, ctx) => expectTypeOf(ctx.reason).toEqualTypeOf<string>(),
    })
  })
})
