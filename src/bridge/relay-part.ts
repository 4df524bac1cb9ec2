import { aborted, type PartContext, reportsOf } from './part.ts'

/** Sequences while it leads; carries the log to sinks and takes sources in. */
export async function startRelay(context: PartContext): Promise<void> {
  const { options, store, instance, recorder, calm, signal } = context
  const { createRelay } = await import('../relay/relay.ts')
  const { resolveSinks } = await import('../relay/sink-config.ts')
  const { resolveSources } = await import('../relay/source-config.ts')
  const { openTransport, topicsNamedBy } = await import('../transports/registry.ts')
  // A URL that nobody can open is no outage.
  for (const { url } of [...(options.sinks ?? []), ...(options.sources ?? [])]) await topicsNamedBy(url)
  signal.throwIfAborted()
  const opener = <C extends { readonly name: string; readonly url: string }>(config: C) => ({
    config,
    async open() {
      // What a broker without history takes before the handlers' groups are there, they never get.
      if (config.name === options.consume) await Promise.race([context.readable.promise, aborted(signal)])
      return openTransport(config.url, reportsOf(context, config.name))
    },
  })
  const sinks = resolveSinks(options.sinks ?? []).map(opener)
  const sources = resolveSources(options.sources ?? []).map(opener)
  const relay = createRelay({ store, instance, recorder, log: calm, sinks, sources })
  relay.start()
  context.keep('the relay', () => relay.stop())
}
