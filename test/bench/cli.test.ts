import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BenchResult } from '../../src/bench/result.ts'
import { createRelay } from '../../src/relay/relay.ts'
import type { Store } from '../../src/store/connection.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const silent = { debug() {}, info() {}, warn() {}, error() {} }

async function startRelay(store: Store): Promise<void> {
  const relay = createRelay({ store, instance: 'test', recorder: { sequenced() {}, leading() {} }, log: silent })
  relay.start()
  onTestFinished(() => relay.stop())
  await until(() => relay.leading)
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function evt(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [main, 'bench', ...args], { env: { PATH: '', ...env }, stdio: 'pipe' })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => {
    stdout += text
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  return { child, ended }
}

const schemasOf = async (store: Store) =>
  (await store.query("select nspname from pg_namespace where nspname like 'evt\\_bench\\_%'")).rows.length

const short = ['--rate', '200', '--warmup', '500ms', '--duration', '1500ms']

describe('evt bench', () => {
  test('prints one JSON document with balanced books, and cleans up', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const gates = ['--gate', 'lost == 0', '--gate', 'e2e[noop] p99 < 20s']
    const { ended } = evt([...short, '--handler', 'effect', '--handler', 'noop', ...gates, '--json'], {
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
    expect(await schemasOf(store)).toBe(0)
  })

  test('exits 99 on a gate that failed, and 98 when it could not be judged', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const { ended } = evt([...short, '--gate', 'e2e p50 < 1us'], { EVT_STORE: url })
    const { code, stdout } = await ended
    const wasBound = /generator-bound/.test(stdout)
    expect(code).toBe(wasBound ? 98 : 99)
    expect(stdout.split('\n')[0]).toMatch(wasBound ? /^INCONCLUSIVE/ : /^FAIL {2}1 of 1 gates failed: e2e p50 < 1us/)
  })

  test('interrupted by Ctrl-C prints what there was, cleans up and exits 130', async () => {
    const { store, url } = await createTestDatabase()
    await startRelay(store)
    const { child, ended } = evt(['--rate', '100', '--warmup', '0', '--duration', '60s'], { EVT_STORE: url })
    await until(async () => (await schemasOf(store)) === 1, { withinMs: 20_000 })
    const effects = async () => {
      const { rows } = await store.query("select nspname from pg_namespace where nspname like 'evt\\_bench\\_%'")
      const counted = await store.query(`select count(*)::int as n from ${rows[0]?.nspname}.effects where k > 20`)
      return Number(counted.rows[0]?.n) > 0
    }
    await until(effects, { withinMs: 20_000 })
    child.kill('SIGINT')
    const { code, stdout } = await ended
    expect(code).toBe(130)
    expect(stdout).toMatch(/^INTERRUPTED {2}interrupted after \d+ events/)
    expect(stdout).toMatch(/scheduled \d+ = sent \d+ \+ unsent \d+/)
    expect(await schemasOf(store)).toBe(0)
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
    const { code, stdout, stderr } = await evt(line.split(' '), { EVT_STORE: 'postgres://nobody@127.0.0.1:1/none' })
      .ended
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(reason)
  })

  test('a store that does not answer is exit 3, without its password', async () => {
    const { code, stderr } = await evt([], { EVT_STORE: 'postgres://me:secret@127.0.0.1:1/none' }).ended
    expect(code).toBe(3)
    expect(stderr).toMatch(/127\.0\.0\.1/)
    expect(stderr).not.toMatch(/secret/)
  })
})
