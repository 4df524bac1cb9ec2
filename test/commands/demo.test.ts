import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { renderSummary, summaryOf } from '../../src/commands/demo/summary.ts'
import type { Output } from '../../src/output/output.ts'
import { readPostmaster } from '../../src/store/embedded/cluster.ts'
import { homeOf, readState } from '../../src/store/embedded/home.ts'
import { childrenOf } from '../../src/store/embedded/process.ts'
import { until } from '../setup/until.ts'
import { snapshotAt } from '../ui/samples.ts'
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
    expect(data.handlers.some(({ handled }: { handled: number }) => handled > 0)).toBe(true)
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

describe('the summary of a demo', () => {
  const written = { transactions: 20, rolledBack: 1, published: 5, poisoned: 3 }
  const of = (counts: readonly number[]) => {
    const causes = counts.map((count, n) => ({
      ...{ cause: `cause-${n}`, handler: 'mail.welcome', type: 'user.created', error: `Error: ${n}`, count },
      ...{ firstAt: '2026-01-01T00:00:00Z', lastAt: '2026-01-01T00:00:00Z', sampleId: '1' },
    }))
    return { dead: { open: counts.reduce((sum, count) => sum + count, 0), causes } }
  }

  it('counts the dead letters of this run, and names those that were there before', () => {
    const summary = summaryOf(snapshotAt(0, of([100, 25])), snapshotAt(15, of([102, 25, 10])), written)
    expect(summary).toMatchObject({ deadLetters: 12, deadLettersBefore: 125 })
    expect(summary.causes.map(({ error, count }) => [error, count])).toEqual([
      ['Error: 2', 10],
      ['Error: 0', 2],
    ])
    const clean = summaryOf(snapshotAt(0, of([])), snapshotAt(15, of([3])), written)
    const lineOf = (one: typeof clean) => renderSummary(one, plain).split('\n')[1]
    expect(lineOf(summary)).toMatch(/12 dead letters \(3 writes were poisoned on purpose; before: 125\)$/)
    expect(lineOf(clean)).toMatch(/3 dead letters \(3 writes were poisoned on purpose\)$/)
  })
})

const fields = [
  ...['causes', 'deadLetters', 'deadLettersBefore', 'handlers'],
  ...['dead', 'failed', 'handled', 'handler', 'p50Ms', 'p99Ms'].map((name) => `handlers[].${name}`),
  ...['seconds', 'sequenced', 'written'],
  ...['poisoned', 'published', 'rolledBack', 'transactions'].map((name) => `written.${name}`),
].sort()
