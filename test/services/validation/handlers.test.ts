import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGenerator } from '../../../src/generators/generator.ts'
import { createScenarioGenerator } from '../../../src/generators/scenario/scenario-generator.ts'
import type { EvtEvent } from '../../../src/index.ts'
import { validationRun } from '../../../src/services/validation/scenarios/validation-run.ts'
import {
  complement,
  customer,
  idAt,
  invoice,
  openValidationDatabase,
  registry,
  submission,
} from './validation-database.ts'

type Database = Awaited<ReturnType<typeof openValidationDatabase>>
let database: Database
beforeAll(async () => {
  database = await openValidationDatabase()
})
afterAll(() => database[Symbol.asyncDispose]())

const runOf = (event: EvtEvent) => (event.data as { runId: string }).runId
const resultOf = async (event: EvtEvent) =>
  (
    await database.rows(
      'select kind, record_id, status, errors from validation.results where run_id = $1',
      runOf(event),
    )
  )[0]

describe('a submitted record', () => {
  it('passes all phases, each told before and after, and is kept', async () => {
    const event = submission('customer', customer('c-1'))
    const told = (await database.handle(event)).map(({ type, data }) => {
      const { phase } = data as { phase?: string }
      return phase === undefined ? type : `${type} ${phase}`
    })
    const phase = (name: string) => [
      `validation.phase.started ${name}`,
      `performance.phase.start ${name}`,
      `performance.phase.complete ${name}`,
      `validation.phase.completed ${name}`,
    ]
    expect(told).toEqual([
      'validation.submitted',
      'validation.started',
      ...['parse', 'schema', 'rules', 'references'].flatMap(phase),
      'performance.operation.complete',
      'validation.completed',
    ])
    expect(await resultOf(event)).toEqual({ kind: 'customer', record_id: 'c-1', status: 'completed', errors: [] })
    expect(await database.rows(`select body->>'name' as name from validation.records where record_id = 'c-1'`)).toEqual(
      [{ name: 'Ada' }],
    )
  })

  const wrong = (phase: string, field: string, code: string) => ({ phase, field, code, message: expect.any(String) })

  it.each([
    ['is no JSON', '{"id": "i-1"', [wrong('parse', '', 'no-json')]],
    ['is null', 'null', [wrong('schema', '', 'invalid_type')]],
    [
      'lacks fields',
      { ...invoice('i-1'), lines: [], dueOn: 7 },
      [wrong('schema', 'dueOn', 'invalid_type'), wrong('schema', 'lines', 'too_small')],
    ],
    [
      'breaks rules',
      invoice('i-1', { totalCents: 1, dueOn: '2025-01-01' }),
      [wrong('rules', 'dueOn', 'before-issue'), wrong('rules', 'totalCents', 'wrong-sum')],
    ],
    [
      'names a record that nobody knows',
      invoice('i-1', { customerId: 'c-99' }),
      [wrong('references', 'customerId', 'unknown-reference')],
    ],
  ])('that %s fails in its phase, and says where and why', async (_, body, errors) => {
    const event = submission('invoice', body)
    const told = await database.handle(event)
    expect(await resultOf(event)).toMatchObject({ status: 'failed', errors })
    const of = (type: string) => told.filter((one) => one.type === type)
    expect(of('validation.error.occurred')).toHaveLength(errors.length)
    expect(of('validation.failed')[0]?.data).toMatchObject({ phase: errors[0]?.phase, errors: errors.length })
    expect(of('validation.phase.failed')).toHaveLength(1)
    expect(await database.rows(`select from validation.records where record_id = 'i-1'`)).toEqual([])
  })

  it('under another id than its own is refused', async () => {
    const event = submission('customer', customer('c-7'), {
      data: { runId: idAt(7_000), kind: 'customer', recordId: 'c-8', body: JSON.stringify(customer('c-7')) },
    })
    await database.handle(event)
    expect(await resultOf(event)).toMatchObject({ status: 'failed', errors: [{ field: 'id', code: 'other-id' }] })
  })

  it('leaves no value of its own in what is told', async () => {
    const told = await database.handle(
      submission('customer', customer('c-2', { name: ' planted ', country: 'planted', email: 'planted' })),
    )
    expect(JSON.stringify(told.slice(1))).not.toContain('planted')
  })

  it('twice is once, and an older one changes nothing', async () => {
    const count = async () =>
      (
        await database.rows(`select (select count(*)::int from validation.runs) as runs,
        (select count(*)::int from validation.phases) as phases, (select count(*)::int from validation.errors) as errors,
        (select count(*)::int from validation.samples) as samples, (select json_agg(r order by run_id) from validation.results r) as results`)
      )[0]
    const told = await database.handle(submission('invoice', invoice('i-2', { totalCents: 3 })))
    const before = await count()
    for (const event of told.slice(1)) await database.handle(event)
    for (const event of told.slice(1).toReversed())
      await database.handle({ ...event, time: '1969-01-01T00:00:00.000Z' })
    expect(await count()).toEqual(before)
    const later = submission('customer', customer('c-3', { name: 'Later' }), { time: '2026-01-02T00:00:00.000Z' })
    await database.handle(later)
    await database.handle(submission('customer', customer('c-3', { name: 'Earlier' })))
    expect(await database.rows(`select body->>'name' as name from validation.records where record_id = 'c-3'`)).toEqual(
      [{ name: 'Later' }],
    )
  })
})

describe('what adds up', () => {
  it('is performance by the minute and phase, and the fields that fail most', async () => {
    for (const total of [1, 2, 3]) await database.handle(submission('invoice', invoice('i-9', { totalCents: total })))
    const performance = await database.rows(
      `select operation, phase, samples::int > 0 as some, p95_ms >= 0 as timed, most_rss_bytes > 1e6 as measured
       from validation.performance where phase = 'rules'`,
    )
    expect(performance).toEqual([{ operation: 'validation', phase: 'rules', some: true, timed: true, measured: true }])
    const failing = await database.rows(
      `select code, errors::int from validation.failing_fields where field_path = 'totalCents'`,
    )
    expect(failing).toEqual([{ code: 'wrong-sum', errors: expect.any(Number) }])
    expect(Number(failing[0]?.errors)).toBeGreaterThanOrEqual(3)
  })

  it('takes measurements as the design has them: version 1', async () => {
    const data = {
      context_id: 'ctx-1',
      field_path: 'user.zip',
      operation: 'lookup',
      duration_ms: 12.5,
      status: 'completed',
    }
    const used = { resource_usage: { cpu_percent: 40, memory_mb: 2 }, phase: 'validate' }
    await database.handle(
      complement({ id: 'm-1', type: 'performance.metric.recorded', version: 1, data: { ...data, ...used } }),
    )
    expect(
      await database.rows(
        `select context_id, field_path, duration_ms, cpu_ms, rss_bytes from validation.samples where event_id = 'm-1'`,
      ),
    ).toEqual([{ context_id: 'ctx-1', field_path: 'user.zip', duration_ms: 12.5, cpu_ms: 5, rss_bytes: 2_097_152 }])
  })
})

it('generated events of every type fit their contracts and are handled', async () => {
  const generator = createGenerator({ registry, seed: 11, nowMs: Date.UTC(2026, 0, 2), types: ['*'] })
  const types = new Set<string>()
  for (let made = 0; made < 120; made++) {
    const event = generator.next()
    types.add(event.type)
    await database.handle(event)
  }
  expect([...types].sort()).toEqual(registry.types().toSorted())
})

it('the scenario validation-run is refused, mended and accepted, and its invoice is as often right as it says', async () => {
  const scenarios = [{ definition: validationRun, place: 'test' }]
  const played = createScenarioGenerator({ registry, scenarios, seed: 7, nowMs: Date.UTC(2026, 0, 2), count: 20 })
  const ends: Record<string, number> = {}
  for (let item = played.next(); item; item = played.next()) {
    if (!('event' in item)) continue
    await database.handle(item.event)
    const { kind, status, errors = [] } = (await resultOf(item.event)) ?? {}
    const end = `${kind} ${status} ${(errors as { code: string }[]).map(({ code }) => code)}`
    ends[end] = (ends[end] ?? 0) + 1
  }
  expect(Object.keys(ends).sort()).toEqual([
    'customer completed ',
    'customer failed no-json',
    'invoice completed ',
    'invoice failed wrong-sum',
  ])
  expect(ends).toMatchObject({ 'customer completed ': 20, 'customer failed no-json': 20 })
  expect(Number(ends['invoice completed ']) + Number(ends['invoice failed wrong-sum'])).toBe(20)
})
