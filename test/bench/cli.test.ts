import { describe, expect, test } from 'vitest'
import type { BenchResult } from '../../src/bench/result.ts'
import { createTestDatabase } from '../setup/database.ts'
import { evtBench, schemasOf, startRelay, untilLoaded } from './evt-bench.ts'

const short = ['--rate', '200', '--warmup', '500ms', '--duration', '1500ms']

describe('evt bench', () => {
  test('prints one JSON document with balanced books, and cleans up', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const gates = ['--gate', 'lost == 0', '--gate', 'e2e[noop] p99 < 20s']
    const { ended } = evtBench([...short, '--handler', 'effect', '--handler', 'noop', ...gates, '--json'], {
      EVT_STORE: url,
    })
    const { code, stdout, stderr } = await ended
    const { schema, data } = JSON.parse(stdout) as { schema: string; data: BenchResult }
    expect(schema).toBe('evt/bench/1')
    expect(data.schema).toBe('evt.bench/1')
    expect(data.ledger).toMatchObject({ scheduled: 400, handled: 800, lost: 0, duplicates: 0, balanced: true })
    // A machine that is busy with other tests may make the generator late: then the run says so.
    expect([code, data.outcome]).toEqual(data.doubts.length > 0 ? [98, 'inconclusive'] : [0, 'done'])
    expect(stderr).toBe('')
    expect(await schemasOf(store)).toEqual([])
  })

  test('exits 99 on a gate that failed, and 98 when it could not be judged', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const { ended } = evtBench([...short, '--gate', 'e2e p50 < 1us'], { EVT_STORE: url })
    const { code, stdout } = await ended
    const wasBound = /generator-bound/.test(stdout)
    expect(code).toBe(wasBound ? 98 : 99)
    expect(stdout.split('\n')[0]).toMatch(wasBound ? /^INCONCLUSIVE/ : /^FAIL {2}1 of 1 gates failed: e2e p50 < 1us/)
  })

  test('interrupted by Ctrl-C prints what there was, cleans up and exits 130', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const { child, ended } = evtBench(['--rate', '100', '--warmup', '0', '--duration', '60s'], { EVT_STORE: url })
    await untilLoaded(store)
    child.kill('SIGINT')
    const { code, stdout } = await ended
    expect(code).toBe(130)
    expect(stdout).toMatch(/^INTERRUPTED {2}interrupted after \d+ events/)
    expect(stdout).toMatch(/scheduled \d+ = sent \d+ \+ unsent \d+/)
    expect(await schemasOf(store)).toEqual([])
  })

  test.each([
    ['--rate 0', /nothing would ever be sent/],
    ['--rate -1', /cannot be negative/],
    ['--rate abc', /not a number of events per second/],
    ['--gate latency<5', /no metric|METRIC/],
    ['--gate lost<0', /no run could meet it/],
    ['--handler other', /effect, noop, sleep/],
    ['--keys 0', /0 keys/],
    ['--size 2MiB', /1 byte to 1 MiB/],
    ['--warmup soon', /soon/],
    ['--duration 0', /nothing would be measured/],
  ])('%s is a usage error, found before anything is opened', async (line, reason) => {
    const { code, stdout, stderr } = await evtBench(line.split(' '), {
      EVT_STORE: 'postgres://nobody@127.0.0.1:1/none',
    }).ended
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(reason)
  })

  test('a store that does not answer is exit 3, without its password', async () => {
    const { code, stderr } = await evtBench([], { EVT_STORE: 'postgres://me:secret@127.0.0.1:1/none' }).ended
    expect(code).toBe(3)
    expect(stderr).toMatch(/127\.0\.0\.1/)
    expect(stderr).not.toMatch(/secret/)
  })
})
