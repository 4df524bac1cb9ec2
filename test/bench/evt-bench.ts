import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createRelay } from '../../src/relay/relay.ts'
import type { Store } from '../../src/store/connection.ts'
import { onTestFinished } from '../setup/on-test-finished.ts'
import { until } from '../setup/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A relay that leads already, as a running bridge's does. */
export async function startRelay(store: Store): Promise<{ stop(): Promise<void> }> {
  const relay = createRelay({ store, instance: 'test', recorder: { sequenced() {}, leading() {} }, log: silent })
  relay.start()
  onTestFinished(() => relay.stop())
  await until(() => relay.leading)
  return relay
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** `evt bench` as a process of its own. */
export function evtBench(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const { NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [main, 'bench', ...args], {
    env: { PATH: '', NODE_COMPILE_CACHE, ...env },
    stdio: 'pipe',
  })
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

/** Schemas of runs that go on or have left something. */
export async function schemasOf(store: Store): Promise<string[]> {
  const { rows } = await store.query("select nspname from pg_namespace where nspname like 'evt\\_bench\\_%'")
  return rows.map(({ nspname }) => String(nspname))
}

/** Resolves when a run has begun to measure: event 20 is handled. */
export async function untilLoaded(store: Store): Promise<void> {
  const isLoaded = async () => {
    const [schema] = await schemasOf(store)
    if (!schema) return false
    const counted = await store
      .query(`select count(*)::int as n from ${schema}.effects where k > 20`)
      .catch(() => undefined)
    return Number(counted?.rows[0]?.n ?? 0) > 0
  }
  await until(isLoaded, { withinMs: 20_000, what: 'the load' })
}
