import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { garbled } from '../../src/commands/demo/mishaps.ts'
import { renderSummary, summaryOf } from '../../src/commands/demo/summary.ts'
import { publishedBy } from '../../src/commands/demo/writers.ts'
import type { Output } from '../../src/output/output.ts'
import type { SagaConfig } from '../../src/sagas/saga-config.ts'
import { services as reference } from '../../src/services/registry.ts'
import { readPostmaster } from '../../src/store/embedded/cluster.ts'
import { homeOf, readState } from '../../src/store/embedded/home.ts'
import { childrenOf } from '../../src/store/embedded/process.ts'
import { until } from '../setup/until.ts'
import { handlerSample, instanceSample, snapshotAt, times } from '../ui/samples.ts'
import { createNowhere, run, runHere, start } from './evt.ts'
import { pathsOf } from './json-paths.ts'

const nowhere = createNowhere()
const here = { cwd: nowhere.path }
afterAll(() => nowhere.dispose())

/** Processes that have this directory in their command line: the server, its workers, evt itself. */
function processesHere(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(join('/proc', pid, 'cmdline'), 'utf8').includes(nowhere.path)
    } catch {
      return false
    }
  })
}

describe('demo', () => {
  // One after the other on one directory: the second start finds what the first one left.
  it('serves other commands without a flag, also after its process was killed, and leaves nothing running', {
    timeout: 90_000,
  }, async () => {
    const killed = start(['demo', '--for', '10m', '--rate', '50'], here)
    await killed.said(/demo on postgres/)
    await until(async () => JSON.parse((await runHere(['--json'], here)).stdout).data.head > 5, {
      withinMs: 15_000,
      what: 'events',
    })
    const { stdout: place } = await runHere(['config', 'show', 'store', '--reveal'], here)
    expect(await runHere(['--json'], { ...here, store: place.trim() })).toMatchObject({ exit: 0 })
    const tail = await runHere(['tail', '--since', 'start', '--limit', '3', '-o', 'ndjson'], here)
    expect(tail.stdout.trim().split('\n')).toHaveLength(3)
    killed.signal('SIGKILL')
    await killed.ended

    const again = await run(['demo', '--for', '2s', '--rate', '100', '--poison', '50%', '--json'], here)
    expect(again, again.stderr).toMatchObject({ exit: 0 })
    const { data } = JSON.parse(again.stdout)
    expect(pathsOf(data).filter((path) => !path.startsWith('causes[]'))).toEqual(fields)
    // How many is the machine's business.
    expect(data.written.transactions).toBeGreaterThan(0)
    expect(data.deadLetters).toBeGreaterThan(0)
    expect(data.services).toHaveLength(6)
    expect(data.sagas.length).toBeGreaterThan(0)
    await until(() => processesHere().length === 0, { withinMs: 5_000, what: 'nothing running' })
    expect(await runHere([], here)).toMatchObject({ stdout: expect.stringContaining('no embedded one runs') })

    const interrupted = start(['demo', '--for', '10m', '--rate', '50'], here)
    await interrupted.said(/demo on postgres/)
    interrupted.signal('SIGINT')
    expect(await interrupted.ended).toMatchObject({ exit: 130 })
    await until(() => processesHere().length === 0, { withinMs: 5_000, what: 'nothing running' })
  })
})

describe('a demo whose server ends', () => {
  const place = createNowhere()
  afterAll(() => place.dispose())
  const serverOf = () => {
    const state = readState(homeOf(place.path))
    return (state && readPostmaster(state.dataDirectory)?.pid) || 0
  }

  it('says where its data is, says that the server is gone, and ends with 3; so does up', {
    timeout: 60_000,
  }, async () => {
    for (const words of [['demo', '--for', '10m'], ['up']]) {
      const running = start(words, { cwd: place.path })
      await running.said(/its data is in \/.*data/)
      process.kill(serverOf(), 'SIGKILL')
      const began = performance.now()
      expect(await running.ended).toMatchObject({
        exit: 3,
        stderr: expect.stringContaining('has ended\nhint: its own words are in '),
      })
      expect(performance.now() - began).toBeLessThan(15_000)
    }
  })

  it('ends soon after SIGTERM when the server does not answer', { timeout: 60_000 }, async () => {
    const running = start(['demo', '--for', '10m'], { cwd: place.path })
    await running.said(/its data is in/)
    const frozen = [serverOf(), ...childrenOf(serverOf())]
    for (const pid of frozen) process.kill(pid, 'SIGSTOP')
    running.signal('SIGTERM')
    const began = performance.now()
    expect(await running.ended).toMatchObject({ exit: 143 })
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(serverOf()).toBe(0)
  })
})

const plain = { isTTY: false, columns: 120, paint: (_style, text) => text } as Output

describe('the writers of a demo', async () => {
  const services = await Promise.all(Object.values(reference).map((load) => load()))
  const withinMs = 12_000
  /** What is published in the first seconds at the usual rate. */
  const published = (poisonRatio: number, seed: number) =>
    publishedBy({ services, seed, nowMs: 0, ratePerSecond: 20, poisonRatio }).flatMap((next) => {
      const due = [next()]
      while ((due.at(-1)?.dueMs ?? 0) <= withinMs) due.push(next())
      return due.slice(0, -1)
    })

  it.each([1, 2, 3])('give every service work and begin every saga within 12 s (seed %i)', (seed) => {
    const types = new Set(published(0.02, seed).map(({ event }) => event.type))
    for (const { name, scenarios = [], sagas = [] } of services) {
      const own = scenarios.flatMap(({ steps }) => steps.flatMap((step) => ('publish' in step ? [step.publish] : [])))
      // The icon service lives of its tables.
      expect([name, name === 'icons' || own.some((type) => types.has(type.split('@')[0] ?? ''))]).toEqual([name, true])
      for (const saga of sagas) {
        const { startsOn } = saga as SagaConfig
        expect([saga.name, types.has(startsOn.type)]).toEqual([saga.name, true])
      }
    }
  })

  it('do harm of every kind within 12 s, and none where nobody wants it', () => {
    const harm = published(0.02, 1).filter(({ mishaps }) => mishaps > 0)
    const isGarbled = ({ event }: (typeof harm)[number]) => (garbled.types as readonly string[]).includes(event.type)
    expect(harm.some(isGarbled)).toBe(true)
    expect(new Set(harm.filter((one) => !isGarbled(one)).map(({ event }) => event.type))).toEqual(
      new Set([
        ...['inventory.adjusted', 'location.created', 'product.created', 'request.completed', 'request.created'],
        ...['requests.user.created', 'shift.assigned', 'shift.created'],
      ]),
    )
    expect(published(0, 1).filter(({ mishaps }) => mishaps > 0)).toEqual([])
  })
})

describe('the summary of a demo', async () => {
  const services = await Promise.all(Object.values(reference).map((load) => load()))
  const written = { transactions: 20, rolledBack: 1, published: 5, poisoned: 3 }
  const of = (counts: readonly number[]) => {
    const causes = counts.map((count, n) => ({
      ...{ cause: `cause-${n}`, handler: 'mail.welcome', type: 'user.created', error: `Error: ${n}`, count },
      ...{ firstAt: '2026-01-01T00:00:00Z', lastAt: '2026-01-01T00:00:00Z', sampleId: '1' },
    }))
    return { dead: { open: counts.reduce((sum, count) => sum + count, 0), causes } }
  }

  it('counts the dead letters of this run, and names those that were there before', () => {
    const between = (before: readonly number[], after: readonly number[]) =>
      summaryOf({
        first: { snapshot: snapshotAt(0, of(before)), sagas: [] },
        last: { snapshot: snapshotAt(15, of(after)), sagas: [] },
        ...{ written, services: [] },
      })
    const summary = between([100, 25], [102, 25, 10])
    expect(summary).toMatchObject({ deadLetters: 12, deadLettersBefore: 125 })
    expect(summary.causes.map(({ error, count }) => [error, count])).toEqual([
      ['Error: 2', 10],
      ['Error: 0', 2],
    ])
    const lineOf = (one: typeof summary) => renderSummary(one, plain).match(/.* dead letters.*/)?.[0]
    expect(lineOf(summary)).toBe('12 dead letters: 3 writes were poisoned on purpose; before: 125')
    expect(lineOf(between([], [3]))).toBe('3 dead letters: 3 writes were poisoned on purpose')
  })

  it('adds up handlers and sagas by service, in 80 columns; each handler stands in it with --verbose', () => {
    const [handlers, sagas] = [services.flatMap((one) => one.handlers), services.flatMap((one) => one.sagas ?? [])]
    const samples = (each: number) =>
      [...handlers, ...sagas].map(({ name }) =>
        handlerSample({
          handler: name,
          handled: each,
          failed: each / 10,
          dead: each / 100,
          endToEnd: times(each, 9_999),
        }),
      )
    const seen = (second: number, each: number) => ({
      snapshot: snapshotAt(second, {
        instances: [instanceSample({ handlers: samples(each) })],
        ...of([each]),
      }),
      sagas: sagas.map(({ name }) => ({ saga: name, running: each, completed: each, failed: each, stuck: 1 })),
    })
    const written = { transactions: 123_456, rolledBack: 12_345, published: 123_456, poisoned: 12_345 }
    const summary = summaryOf({ first: seen(0, 0), last: seen(15, 5_000), written, services })
    expect(summary.services.find(({ service }) => service === 'commerce')).toMatchObject({
      handled: 4 * 5_000,
      dead: 4 * 50,
      sagas: { running: 5_000, completed: 5_000, failed: 5_000, stuck: 1 },
    })
    const terminal = { ...plain, isTTY: true, columns: 80 } as Output
    const lines = renderSummary(summary, terminal).split('\n')
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.length).toBeLessThanOrEqual(24)
    const all = renderSummary(summary, { ...terminal, verbosity: 'verbose' })
    expect(handlers.filter(({ name }) => !all.includes(name))).toEqual([])
  })
})

const fields = [
  ...['causes', 'deadLetters', 'deadLettersBefore', 'handlers', 'sagas', 'services'],
  ...['dead', 'failed', 'handled', 'handler', 'p50Ms', 'p99Ms'].map((name) => `handlers[].${name}`),
  ...['dead', 'failed', 'handled', 'p50Ms', 'p99Ms', 'sagas', 'service'].map((name) => `services[].${name}`),
  ...['completed', 'failed', 'running', 'stuck'].flatMap((name) => [`sagas[].${name}`, `services[].sagas.${name}`]),
  ...['sagas[].saga', 'seconds', 'sequenced', 'written'],
  ...['poisoned', 'published', 'rolledBack', 'transactions'].map((name) => `written.${name}`),
].sort()
