import type { BenchResult } from '../../bench/result.ts'
import { askConsent, type ConsentAnswers, refuseAboveMaxAffected, refuseWhenReadonly } from '../line/consent.ts'
import { findStore, type StorePlace } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import type { PlannedBench } from './plan.ts'

interface Asked {
  readonly options: ConsentAnswers & { readonly live: boolean }
  readonly typed: ReadonlySet<string>
  /** The command line that would repeat the run. */
  readonly reproduce: string
}

/** Runs the bench on the store that is configured or runs, else on an embedded one that it starts and stops. */
export async function runOnBridge(runtime: Runtime, bench: PlannedBench, asked: Asked): Promise<BenchResult> {
  const place = await findStore(runtime)
  if (place) {
    await consent(runtime, bench, { place, asked })
    return runOn(runtime, bench, { place, asked })
  }
  const { startEmbedded } = await import('../../store/embedded.ts')
  const { output } = runtime
  const server = await startEmbedded(runtime.cwd, { log: (message) => output.notice(message) })
  try {
    const { migrateUp } = await import('../../store/migrate.ts')
    await migrateUp(server.url)
    runtime.signal.throwIfAborted()
    return await runOn(runtime, bench, { place: { ...embedded, url: server.url }, asked })
  } finally {
    await server.stop()
  }
}

const embedded = { shown: 'the embedded store', origin: 'started by bench', embedded: true }

/** Everything that the bench makes is scratch and its own; only a profile that is guarded wants to be asked. */
async function consent(
  runtime: Runtime,
  { plan }: PlannedBench,
  { place, asked }: { readonly place: StorePlace; readonly asked: Asked },
): Promise<void> {
  refuseWhenReadonly(runtime, `load ${place.shown}`)
  const isAsked = runtime.config.profile?.protect === true
  if (!isAsked && asked.options.maxAffected === undefined) return
  const { createWorkload } = await import('../../bench/plan.ts')
  const sending = {
    verb: 'send',
    noun: 'scratch events',
    count: createWorkload(plan).total,
    target: place.shown,
    samples: [],
    options: asked.options,
    typed: asked.typed,
  }
  if (isAsked) await askConsent(runtime, sending)
  else refuseAboveMaxAffected(sending)
}

async function runOn(
  runtime: Runtime,
  { plan, kinds, gates, drainTimeoutMs }: PlannedBench,
  { place, asked }: { readonly place: StorePlace; readonly asked: Asked },
): Promise<BenchResult> {
  const { signal } = runtime
  const [
    { endsWithin, unlessInterrupted },
    { openStore },
    { checkSchema },
    { openTransport },
    { createBridgeTarget },
    { runBench },
    { createLiveView },
  ] = await Promise.all([
    import('../../bench/patience.ts'),
    import('../../store/connection.ts'),
    import('../../store/migrate.ts'),
    import('../../transports/registry.ts'),
    import('../../bench/bridge/target.ts'),
    import('../../bench/run.ts'),
    import('../../bench/live.ts'),
  ])
  const opening = openStore(place.url, { applicationName: 'evt bench', max: 6 })
  const store = await unlessInterrupted(opening, signal, (late) => late.close())
  const live = createLiveView(asked.options.live ? runtime.terminal.stderr : { write: () => {} })
  try {
    await unlessInterrupted(checkSchema(store), signal)
    const transport = await openTransport(place.url)
    const storeLabel = place.embedded ? `the embedded store (${place.shown})` : place.shown
    const target = createBridgeTarget({
      store,
      transport,
      run: plan.run,
      kinds,
      version: runtime.version,
      storeLabel,
      warn: (message) => runtime.output.warn(message),
    })
    const options = { plan, gates, drainTimeoutMs, signal, reproduce: asked.reproduce, onProgress: live.update }
    return await runBench(options, target)
  } finally {
    live.end()
    // A store that went away may keep its connections for as long as it likes.
    await endsWithin(store.close(), 2_000)
  }
}
