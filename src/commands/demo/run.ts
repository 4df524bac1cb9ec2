import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bridge, createBridge } from '../../bridge.ts'
import { redactUrl } from '../../core/mask.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createProgress } from '../../output/progress.ts'
import { closeStoreWithin, settlesWithin } from '../../store/close-within.ts'
import { openStore, type Store } from '../../store/connection.ts'
import { readSnapshot } from '../../watch/read-snapshot.ts'
import { openDashboardOn } from '../line/dashboard.ts'
import { causeOf, type OwnStore, startOwn } from '../line/own-store.ts'
import { loadDemoServices } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { readSagaCounts } from './saga-counts.ts'
import { renderSummary, type Seen, summaryOf } from './summary.ts'
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

/** From Ctrl-C, or the end of the server, to the end of what may still wait for an answer. */
const endingMs = 2_000
const closingMs = 500

/** Starts everything, and leaves nothing running however it ends. Throws `connect` when its server ends by itself. */
export async function runDemo(options: DemoOptions, runtime: Runtime): Promise<Outcome | undefined> {
  const services = await loadDemoServices(runtime)
  const server = await startOwn(runtime)
  const signal = AbortSignal.any([runtime.signal, server.gone])
  try {
    const outcome = await onServer(server, { options, services, runtime: { ...runtime, signal } })
    server.gone.throwIfAborted()
    return outcome
  } catch (error) {
    throw await causeOf(error, server)
  } finally {
    await server.stop()
  }
}

interface Wanted {
  readonly options: DemoOptions
  readonly services: Awaited<ReturnType<typeof loadDemoServices>>
  readonly runtime: Runtime
}

async function onServer(server: OwnStore, { options, services, runtime }: Wanted): Promise<Outcome | undefined> {
  const store = await openStore(server.url, { applicationName: 'evt demo', max: 6 })
  const bridge = createBridge({ store: server.url, services, grace: '3s' })
  const { signal, output } = runtime
  try {
    await startUntil(signal, bridge)
    output.notice(`demo on ${redactUrl(server.url)}; its data is in ${server.dataDirectory}`)
    output.notice("from a second terminal: evt tail 'user.*', evt dlq list, evt dash")
    const writers = (until: AbortSignal) =>
      write({
        store,
        services,
        seed: options.seed ?? randomInt(2 ** 31),
        ratePerSecond: options.rate,
        poisonRatio: options.poison,
        nowMs: runtime.now(),
        signal: until,
        onError: (error) => until.aborted || output.detail(`a write failed: ${error}`),
      })
    const run = wantsDashboard(options, runtime) ? withDashboard : forAWhile
    return await soonAfter(signal, run({ options, services, store, writers }, runtime))
  } finally {
    await bridge.stop()
    await closeStoreWithin(store, closingMs)
  }
}

/** A start that gets no answer ends with the signal. */
async function startUntil(signal: AbortSignal, bridge: Bridge): Promise<void> {
  signal.throwIfAborted()
  const stop = () => void bridge.stop().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  await bridge.start()
  signal.removeEventListener('abort', stop)
}

/** What `work` gives; throws the signal's reason when it is not done soon after that aborted. */
async function soonAfter<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const done = new AbortController()
  const overdue = async (): Promise<never> => {
    if (!signal.aborted) await once(signal, 'abort', { signal: done.signal })
    await delay(endingMs, undefined, { signal: done.signal })
    throw signal.reason
  }
  const late = overdue()
  late.catch(() => {})
  return Promise.race([work, late]).finally(() => done.abort())
}

const wantsDashboard = (options: DemoOptions, { stdin, terminal, output }: Runtime) =>
  options.for === undefined && output.format === 'text' && stdin.isTTY && terminal.stdout.isTTY

interface Demo extends Pick<Wanted, 'options' | 'services'> {
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
    await settlesWithin(writing, endingMs)
  }
  return 'done'
}

async function forAWhile({ options, services, store, writers }: Demo, runtime: Runtime): Promise<Outcome | undefined> {
  const { output, signal, terminal, now } = runtime
  const forMs = options.for ?? defaultForMs
  const first = await look(store)
  const progress = createProgress({ stderr: terminal.stderr, verb: 'committed', now })
  const redraw = setInterval(
    () =>
      void readSnapshot(store).then(
        ({ head }) => progress.update(Number(head.position) - Number(first.snapshot.head.position)),
        () => {},
      ),
    500,
  )
  const written = await writers(AbortSignal.any([signal, AbortSignal.timeout(forMs)]))
  clearInterval(redraw)
  progress.end()
  await settled(store, signal)
  const summary = summaryOf({ first, last: await look(store), written, services })
  output.result({ data: summary, render: () => renderSummary(summary, output) })
  return undefined
}

const look = async (store: Store): Promise<Seen> => ({
  snapshot: await readSnapshot(store),
  sagas: await readSagaCounts(store),
})

/** Until nothing waits, and every bridge has told it (they tell once a second). */
async function settled(store: Store, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const snapshot = await readSnapshot(store)
    const waiting = snapshot.head.outboxPending > 0 || snapshot.backlog.some(({ lagEvents }) => lagEvents > 0)
    if (!waiting || signal.aborted || performance.now() > deadline) break
    await delay(100, undefined, { signal }).catch(() => {})
  }
  await delay(1_200, undefined, { signal }).catch(() => {})
}
