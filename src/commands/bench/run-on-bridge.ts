import type { BenchResult } from '../../bench/result.ts'
import { redactUrl } from '../../core/mask.ts'
import { findStore, type StorePlace, storeUrl } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { type Asked, askToLoad } from './ask.ts'
import type { PlannedBench } from './plan.ts'

/** Runs the bench on the store that is configured or runs, else on an embedded one that it starts and stops. */
export async function runOnBridge(
  runtime: Runtime,
  bench: PlannedBench,
  asked: Asked & { readonly url?: string },
): Promise<BenchResult> {
  const place = asked.url === undefined ? await findStore(runtime) : placeOfUrl(asked.url)
  if (place && place.elsewhere === undefined) {
    await askToLoad(runtime, bench, { shown: place.shown, asked })
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

const placeOfUrl = (url: string): StorePlace => ({
  url: storeUrl(url, '--target'),
  shown: redactUrl(url),
  origin: '--target',
  embedded: false,
})

const embedded = { shown: 'the embedded store', origin: 'started by bench', embedded: true }

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
