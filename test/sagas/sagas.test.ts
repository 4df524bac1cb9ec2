import { describe, expect, it } from 'vitest'
import type { SagaOptions } from '../../src/index.ts'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import { compensateSaga, retrySaga, skipCompensation } from '../../src/store/saga-repair.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { byId, checked, type JobState, jobs, loaded, registry } from './jobs.ts'
import { dataOf, historyOf, publish, sagaOf, startBridge, untilSaga } from './running.ts'

const name = 'jobs.import'
const quick = { attempts: 3, initial: '5ms', max: '20ms' } as const
type Steps = SagaOptions<JobState, { id: string }>['steps']

const loadThenCheck: Steps = ({ step }) => [
  step('load', { awaits: loaded, correlate: byId, on: (own) => own.log.push('loaded') }),
  step('check', { awaits: checked, correlate: byId, on: (own) => own.log.push('checked') }),
]

const repairOf = (saga: { id: string; key: string }) => ({
  ...saga,
  saga: name,
  by: 'ada',
  reason: 'a test',
  audit: createAudit({ who: 'ada', verb: 'saga retry', target: saga.id }),
})

const deadLettersOf = async (store: Store) =>
  (await store.query('select type, error_message as message, reason from evt.dead_letters order by id')).rows

describe('sagas', () => {
  it('take events that came before them, or before their step, and hold what retention may not remove', async () => {
    const { store, url } = await createTestDatabase()
    await startBridge(url, { registry, sagas: [jobs({ steps: loadThenCheck })] })
    await publish(store, 'job.checked', { id: 'a' })
    await publish(store, 'job.loaded', { id: 'a' })
    await until(async () => (await store.query('select from evt.saga_events')).rows.length === 2)
    const { rows } = await store.query("select who, after::int from evt.needs where who like 'saga%'")
    expect(rows).toEqual([{ who: 'saga jobs.import (events that came early)', after: 0 }])
    await publish(store, 'job.started', { id: 'a' })
    const saga = await untilSaga(store, name, 'a', 'completed')
    expect(saga.state).toEqual({ id: 'a', log: ['loaded', 'checked'] })
    expect((await store.query('select from evt.saga_events')).rows).toEqual([])
    // A late answer of what has ended is none of the next saga of that key.
    await publish(store, 'job.loaded', { id: 'a' })
    await until(async () => (await historyOf(store, saga.id)).at(-1) === 'ignored')
    await publish(store, 'job.started', { id: 'a' })
    expect(await untilSaga(store, name, 'a', 'running')).toMatchObject({ steps: { load: { status: 'waiting' } } })
  })

  it('are one for each key, whoever of two bridges takes the events', async () => {
    const { store, url } = await createTestDatabase()
    const saga = () =>
      jobs({
        steps: ({ step }) => [
          step('one', {
            run: ({ id }, ctx) => ctx.publish({ type: 'job.loaded', data: { id } }),
            awaits: loaded,
            correlate: byId,
          }),
        ],
      })
    await startBridge(url, { registry, sagas: [saga()], instance: 'first' })
    await startBridge(url, { registry, sagas: [saga()], instance: 'second', roles: ['handlers'] })
    const groups = async () =>
      (await store.query("select distinct owner from evt.lanes where group_name = 'jobs.import' and owner is not null"))
        .rows
    await until(async () => (await groups()).length === 2, { withinMs: 20_000 })
    await store.query(
      `select evt.publish('job.started', json_build_object('id', 'k' || n % 20), 'job/' || n) from generate_series(1, 60) n`,
    )
    await until(
      async () => {
        const { rows } = await store.query(
          `select count(*) filter (where what in ('started', 'ignored') and type = 'job.started')::int as taken,
             (select count(*)::int from evt.sagas where ended_at is null) as open from evt.saga_history`,
        )
        return rows[0]?.taken === 60 && rows[0].open === 0
      },
      { withinMs: 20_000 },
    )
    const { rows: all } = await store.query(
      'select saga_id from evt.saga_history group by saga_id having count(*) filter (where what = $1) <> 1',
      ['started'],
    )
    expect(all).toEqual([])
    const { rows: by } = await store.query('select distinct by from evt.saga_history order by by')
    expect(by).toEqual([{ by: 'first' }, { by: 'second' }])
  })

  it('try a step again, take back what it wrote, and undo what was done when it fails for good', async () => {
    const { store, url } = await createTestDatabase()
    await store.query('create table effects (what text)')
    const steps: Steps = ({ step }) => [
      step('first', {
        run: (own, ctx) => ctx.sql`insert into effects values (${`first ${own.id}`})`,
        compensate: (own, ctx) => ctx.sql`delete from effects where what = ${`first ${own.id}`}`,
      }),
      step('second', {
        retry: quick,
        async run(own, ctx) {
          own.log.push('gone')
          await ctx.sql`insert into effects values (${`second ${own.id} ${ctx.attempt}`})`
          if (own.id === 'bad' || ctx.attempt < 3) await ctx.sql`select 1 / 0`
        },
        compensate: () => {
          throw new Error('it has never begun')
        },
      }),
    ]
    await startBridge(url, { registry, sagas: [jobs({ steps })] })
    await publish(store, 'job.started', { id: 'bad' })
    await publish(store, 'job.started', { id: 'good' })
    const good = await untilSaga(store, name, 'good', 'completed')
    expect(good.steps.second).toMatchObject({ status: 'done', attempts: 3 })
    const bad = await untilSaga(store, name, 'bad', 'failed')
    expect(bad).toMatchObject({ reason: 'step second failed: error: division by zero', state: { log: [] } })
    expect((await store.query('select what from effects order by what')).rows).toEqual([
      { what: 'first good' },
      { what: 'second good 3' },
    ])
    expect(await deadLettersOf(store)).toEqual([])
  })

  it('are stuck when a compensation fails for good, until somebody repairs or skips it', async () => {
    const { store, url } = await createTestDatabase()
    let isBroken = true
    const steps: Steps = ({ step }) => [
      step('one', { run() {}, compensate: () => {} }),
      step('two', {
        run() {},
        retry: quick,
        compensate() {
          if (isBroken) throw new Error('no way back')
        },
      }),
      step('three', { awaits: loaded, correlate: byId }),
    ]
    await startBridge(url, { registry, sagas: [jobs({ steps })] })
    for (const id of ['a', 'b']) {
      await publish(store, 'job.started', { id })
      const { id: saga } = await untilSaga(store, name, id, 'running')
      await compensateSaga(store, repairOf({ id: saga, key: id }))
    }
    const a = await untilSaga(store, name, 'a', 'stuck')
    const b = await untilSaga(store, name, 'b', 'stuck')
    expect(a).toMatchObject({
      phase: 'compensating',
      reason: 'compensated by ada: a test',
      stuck: 'the compensation of two failed: Error: no way back',
      next: null,
    })
    await expect(compensateSaga(store, repairOf(a))).rejects.toMatchObject({ code: 'usage' })
    await skipCompensation(store, repairOf(b))
    expect((await untilSaga(store, name, 'b', 'failed')).steps.one?.status).toBe('compensated')
    isBroken = false
    await retrySaga(store, repairOf(a))
    await untilSaga(store, name, 'a', 'failed')
    expect(await dataOf(store, 'job.failed')).toHaveLength(2)
    const { rows } = await store.query('select count(*)::int as n from evt.audit')
    expect(rows).toEqual([{ n: 4 }])
    await expect(retrySaga(store, repairOf(a))).rejects.toMatchObject({ code: 'usage' })
  })

  it('end once when a time-out and its answer race, and a timer that was overtaken does nothing', async () => {
    const { store, url } = await createTestDatabase()
    const steps: Steps = ({ step }) => [step('wait', { awaits: loaded, correlate: byId, timeout: '150ms' })]
    await startBridge(url, { registry, sagas: [jobs({ steps })] })
    const keys = Array.from({ length: 30 }, (_, n) => `r${n}`)
    for (const id of keys) {
      await publish(store, 'job.started', { id })
      setTimeout(() => void publish(store, 'job.loaded', { id }).catch(() => {}), 145)
    }
    await until(
      async () => (await store.query('select from evt.sagas where ended_at is not null')).rows.length === 30,
      {
        withinMs: 20_000,
      },
    )
    await until(async () => (await dataOf(store, 'job.loaded')).length === 30)
    const ended = [...(await dataOf(store, 'job.finished')), ...(await dataOf(store, 'job.failed'))].map(({ id }) => id)
    expect(ended.sort()).toEqual([...keys].sort())
    const saga = await sagaOf(store, name, 'r0')
    const stale = { saga: saga?.id, key: 'r0', step: 'wait', kind: 'timeout', due: '2026-01-01T00:00:00.000Z' }
    const before = await historyOf(store, saga?.id ?? '')
    await publish(store, 'saga.due.jobs.import', stale)
    await publish(store, 'job.started', { id: 'behind' }, { subject: 'x' })
    await untilSaga(store, name, 'behind', 'failed')
    expect((await historyOf(store, saga?.id ?? '')).filter((what) => what !== 'ignored')).toEqual(
      before.filter((what) => what !== 'ignored'),
    )
  })

  it('keep the plan that they began with when the definition changes, and are stuck where a step is gone', async () => {
    const { store, url } = await createTestDatabase()
    const old = await startBridge(url, { registry, sagas: [jobs({ steps: loadThenCheck })] })
    for (const id of ['a', 'b']) await publish(store, 'job.started', { id })
    for (const id of ['a', 'b']) await untilSaga(store, name, id, 'running')
    await old.stop()
    const changed = jobs({
      version: 2,
      steps: ({ step }) => [
        step('load', { awaits: loaded, correlate: byId }),
        step('verify', { awaits: checked, correlate: byId }),
      ],
    })
    const renamed = await startBridge(url, { registry, sagas: [changed] })
    await publish(store, 'job.loaded', { id: 'a' })
    const stuck = await untilSaga(store, name, 'a', 'stuck')
    expect(stuck.stuck).toBe('step check of version 1 is missing in version 2 of the definition')
    await renamed.stop()
    const both: Steps = (make) => [
      ...loadThenCheck(make),
      make.step('extra', {
        run: () => {
          throw new Error('not of their plan')
        },
      }),
    ]
    await startBridge(url, { registry, sagas: [jobs({ version: 3, steps: both })] })
    await retrySaga(store, repairOf(stuck))
    await publish(store, 'job.loaded', { id: 'b' })
    for (const id of ['a', 'b']) {
      await publish(store, 'job.checked', { id })
      expect(await untilSaga(store, name, id, 'completed')).toMatchObject({ version: 1 })
    }
  })

  it('say what is wrong with a key, a first state and a later state, and stop no other', async () => {
    const { store, url } = await createTestDatabase()
    const steps: Steps = ({ step }) => [
      step('spoil', {
        run(own) {
          if (own.id === 'spoiled') (own as { log: unknown }).log = new Date()
        },
      }),
    ]
    await startBridge(url, {
      registry,
      sagas: [
        jobs({
          steps,
          correlate: ({ data }) =>
            data.id === 'none' ? (undefined as unknown as string) : data.id === 'other' ? null : data.id,
          begin: ({ data }) => (data.id === 'empty' ? ({} as JobState) : { id: data.id, log: [] }),
        }),
      ],
    })
    for (const id of ['none', 'empty', 'other', 'spoiled', 'good']) await publish(store, 'job.started', { id })
    await untilSaga(store, name, 'good', 'completed')
    const spoiled = await untilSaga(store, name, 'spoiled', 'failed')
    expect(spoiled.reason).toContain(
      'cannot keep the state of saga jobs.import: state.log: expected array, received string',
    )
    const letters = await until(async () => {
      const found = await deadLettersOf(store)
      return found.length === 2 ? found : undefined
    })
    expect(letters.map(({ message }) => String(message)).sort()).toEqual([
      'cannot keep the state of saga jobs.import: state.id: expected string, received undefined',
      'cannot tell which jobs.import the event job.started belongs to: its `correlate` returned nothing, or it has no subject',
    ])
  })

  it('are undone when the whole of one takes too long', async () => {
    const { store, url } = await createTestDatabase()
    await startBridge(url, { registry, sagas: [jobs({ steps: loadThenCheck })], sagaTimeout: '100ms' })
    await publish(store, 'job.started', { id: 'slow' })
    expect((await untilSaga(store, name, 'slow', 'failed')).reason).toBe(
      'it was not done within 100ms; it waited in load',
    )
  })

  it('find that a step never returns, and are stuck at it', async () => {
    const { store, url } = await createTestDatabase()
    const steps: Steps = ({ step }) => [
      step('fine', { run: (own) => own.log.push('fine') }),
      step('hangs', { run: ({ id }) => (id === 'hang' ? new Promise(() => {}) : undefined) }),
    ]
    await startBridge(url, { registry, sagas: [jobs({ steps, runTimeout: '40ms' })] })
    await publish(store, 'job.started', { id: 'hang' })
    await publish(store, 'job.started', { id: 'other' })
    await untilSaga(store, name, 'other', 'completed')
    const saga = await untilSaga(store, name, 'hang', 'stuck')
    expect(saga).toMatchObject({
      stuck: 'hangs did not return in its time, or ended its process, again and again',
      state: { log: ['fine'] },
    })
  })

  it('refuse two of one name', async () => {
    const { url } = await createTestDatabase()
    const twice = [jobs({ steps: loadThenCheck }), jobs({ steps: loadThenCheck })]
    await expect(startBridge(url, { registry, sagas: twice })).rejects.toMatchObject({
      code: 'config',
      message: 'cannot use saga jobs.import: two sagas or handlers have that name',
    })
  })
})
