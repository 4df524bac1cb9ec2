import { settlesWithin } from '../store/close-within.ts'
import { aborted, type PartContext, reportsOf } from './part.ts'

const besideMs = 1_000

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
  const archive = await keepFor(context)
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
  const { createSealTaken } = await import('../relay/seal-taken.ts')
  const keyring = context.registry.guard?.keyring
  const seal = keyring && createSealTaken(context.registry.get, keyring)
  const relay = createRelay({ store, instance, recorder, log: calm, sinks, sources, seal, archive })
  relay.start()
  const { startDueScan } = await import('../relay/due-scan.ts')
  const due = startDueScan(store, { instance, log: calm })
  context.keep('events that are due', () => settlesWithin(due.stop(), besideMs))
  const { startRedriven } = await import('../publish/redriven.ts')
  const redriven = startRedriven({ store, registry: context.registry, instance, warn: calm.warn })
  context.keep('what is published again', () => settlesWithin(redriven.stop(), besideMs))
  context.keep('the relay', () => relay.stop())
}

/** Writes down how long which events are kept; returns where they are archived. */
async function keepFor({ options, store, log }: PartContext): Promise<string | undefined> {
  if (!options.retention) return undefined
  const { resolveRetention } = await import('../core/retention.ts')
  const policy = resolveRetention(options.retention)
  const { applyRetention } = await import('../store/apply-retention.ts')
  const { days, rules, waiting } = await applyRetention(store, policy)
  if (rules || Object.keys(days).length > 0) log.info('retention changed', { days, rules })
  if (waiting.length > 0)
    log.warn('captured tables are in use and keep the classes that they had', {
      tables: waiting.join(', '),
      hint: 'repeat `evt capture add` for them',
    })
  return policy.archive
}
