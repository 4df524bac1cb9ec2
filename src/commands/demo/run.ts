import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createBridge } from '../../bridge.ts'
import { redactUrl } from '../../core/mask.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createProgress } from '../../output/progress.ts'
import { openStore, type Store } from '../../store/connection.ts'
import { readSnapshot } from '../../watch/read-snapshot.ts'
import type { Snapshot } from '../../watch/snapshot.ts'
import { openDashboardOn } from '../line/dashboard.ts'
import { startOwn } from '../line/own-store.ts'
import { loadServices } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { renderSummary, summaryOf } from './summary.ts'
import { type Written, write } from './writers.ts'

export interface DemoOptions {
  readonly for?: number | undefined
  readonly rate: number
  readonly poison: number
  readonly seed?: number | undefined
}

const defaultForMs = 15_000
/** What was written last is handled by then, or stays as lag in the summary. */
const settleMs = 5_000

/** Starts everything, and leaves nothing running however it ends. */
export async function runDemo(options: DemoOptions, runtime: Runtime): Promise<Outcome | undefined> {
  const services = await loadServices(runtime)
  const server = await startOwn(runtime)
  try {
    const store = await openStore(server.url, { applicationName: 'evt demo', max: 6 })
    const bridge = createBridge({ store: server.url, services, grace: '3s' })
    try {
      await bridge.start()
      runtime.output.notice(
        `demo on ${redactUrl(server.url)}; from a second terminal: evt tail 'user.*', evt dlq list, evt dash`,
      )
      const writers = (signal: AbortSignal) =>
        write({
          store,
          services,
          seed: options.seed ?? randomInt(2 ** 31),
          ratePerSecond: options.rate,
          poisonRatio: options.poison,
          nowMs: runtime.now(),
          signal,
          onError: (error) => signal.aborted || runtime.output.detail(`a write failed: ${error}`),
        })
      return await (wantsDashboard(options, runtime) ? withDashboard : forAWhile)({ options, store, writers }, runtime)
    } finally {
      await bridge.stop()
      await store.close()
    }
  } finally {
    await server.stop()
  }
}

const wantsDashboard = (options: DemoOptions, { stdin, terminal, output }: Runtime) =>
  options.for === undefined && output.format === 'text' && stdin.isTTY && terminal.stdout.isTTY

interface Demo {
  readonly options: DemoOptions
  readonly store: Store
  writers(signal: AbortSignal): Promise<Written>
}

async function withDashboard({ store, writers }: Demo, runtime: Runtime): Promise<Outcome> {
  const ending = new AbortController()
  const writing = writers(ending.signal)
  try {
    await openDashboardOn(store, runtime)
  } finally {
    ending.abort()
    await writing
  }
  return 'done'
}

async function forAWhile({ options, store, writers }: Demo, runtime: Runtime): Promise<Outcome | undefined> {
  const { output, signal, terminal, now } = runtime
  const forMs = options.for ?? defaultForMs
  const first = await readSnapshot(store)
  const progress = createProgress({ stderr: terminal.stderr, verb: 'committed', now })
  const redraw = setInterval(
    () =>
      void readSnapshot(store).then(
        ({ head }) => progress.update(Number(head.position) - Number(first.head.position)),
        () => {},
      ),
    500,
  )
  const written = await writers(AbortSignal.any([signal, AbortSignal.timeout(forMs)]))
  clearInterval(redraw)
  progress.end()
  const summary = summaryOf(first, await settled(store, signal), written)
  output.result({ data: summary, render: () => renderSummary(summary, output) })
  return undefined
}

/** The last snapshot: once nothing waits, and every bridge has told it (they tell once a second). */
async function settled(store: Store, signal: AbortSignal): Promise<Snapshot> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const snapshot = await readSnapshot(store)
    const waiting = snapshot.head.outboxPending > 0 || snapshot.backlog.some(({ lagEvents }) => lagEvents > 0)
    if (!waiting || signal.aborted || performance.now() > deadline) break
    await delay(100, undefined, { signal }).catch(() => {})
  }
  await delay(1_200, undefined, { signal }).catch(() => {})
  return readSnapshot(store)
}
