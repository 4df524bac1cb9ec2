import { setTimeout as wait } from 'node:timers/promises'
import { EvtError } from '../core/errors.ts'
import type { Histogram } from '../core/histogram.ts'
import type { Store } from '../store/connection.ts'
import type { Snapshot } from '../watch/snapshot.ts'
import type { Window } from '../watch/window.ts'
import { defineCommand, flag } from './command.ts'
import { openDashboardOn } from './line/dashboard.ts'
import { formatOptions, storeOptions } from './line/options.ts'
import { withStore } from './line/store.ts'
import type { Runtime } from './runtime.ts'

export default defineCommand({
  name: 'dash',
  section: 'watch',
  summary: 'dashboard over all running bridges: latency per handler, lag, dead letters, live tail',
  description:
    'Reads the store only: bridges write what they did once a second, and their histograms are added, never averaged.\n' +
    'Latencies are of the last ten seconds, from commit to handled. Keys: ? shows them all.',
  examples: [
    { line: 'evt dash', says: 'the dashboard; q ends it', needs: 'bridge', exit: 2 },
    { line: 'evt dash --once', says: 'one frame as text, for an incident document', needs: 'bridge' },
    { line: 'evt dash --once --json', says: 'the same figures for a script', needs: 'bridge' },
  ],
  args: {},
  options: { once: flag({ says: 'print one frame and end' }), ...storeOptions, ...formatOptions },
  async run({ options }, runtime) {
    const once = options.once || runtime.output.format === 'json'
    if (!once && !(runtime.stdin.isTTY && runtime.terminal.stdout.isTTY)) {
      throw new EvtError('usage', 'cannot open the dashboard: stdin and stdout are no terminal', {
        hint: 'print one frame with `evt dash --once`, or its figures with `evt dash --once --json`',
      })
    }
    await withStore(runtime, { command: 'dash', max: 6 }, (store) =>
      once ? printOnce(store, runtime) : openDashboardOn(store, runtime),
    )
    return undefined
  },
})

/** Rates need two looks. */
const betweenLooksMs = 2000

async function printOnce(store: Store, { output, signal }: Runtime): Promise<void> {
  const { readSnapshot } = await import('../watch/read-snapshot.ts')
  const first = await readSnapshot(store)
  await wait(betweenLooksMs, undefined, { signal })
  const second = await readSnapshot(store)
  const [{ createModel }, { update }, { renderOnce }, { windowBetween }] = await Promise.all([
    import('../ui/state/model.ts'),
    import('../ui/state/update.ts'),
    import('../ui/view/once.ts'),
    import('../watch/window.ts'),
  ])
  const window = windowBetween(first, second)
  const model = [first, second]
    .map((snapshot) => ({ type: 'snapshot', snapshot }) as const)
    .reduce(update, createModel())
  output.result({ data: figures(second, window), render: () => renderOnce(model, output.columns) })
}

/** Percentiles in ms; null without samples. */
function figures(snapshot: Snapshot, window: Window) {
  const of = (histogram: Histogram) => {
    const ms = (us: number | undefined) => (us === undefined ? null : us / 1000)
    const at = (q: number) => ms(histogram.percentile(q))
    return { count: histogram.count, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: ms(histogram.max) }
  }
  const { relay, deliver, queue, handle } = window.stages
  return {
    takenAt: snapshot.takenAt,
    seconds: window.seconds,
    head: snapshot.head,
    sequencedPerSecond: window.sequenced / window.seconds,
    bridges: snapshot.instances.map(({ handlers, stages, ...instance }) => instance),
    handlers: window.handlers.map(({ runTime, endToEnd, handled, ...handler }) => ({
      ...handler,
      handledPerSecond: handled / window.seconds,
      endToEndMs: of(endToEnd),
      runTimeMs: of(runTime),
    })),
    stagesMs: { relay: of(relay), deliver: of(deliver), queue: of(queue), handle: of(handle) },
    backlog: snapshot.backlog,
    stopped: snapshot.stopped,
    dead: snapshot.dead,
  }
}
