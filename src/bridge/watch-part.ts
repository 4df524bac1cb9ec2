import { parseDuration } from '../core/duration.ts'
import { createMasker } from '../core/masker.ts'
import { closeStoreWithin, settlesWithin } from '../store/close-within.ts'
import type { PartContext } from './part.ts'

const besideMs = 1_000
const leavingMs = 500
const connections = 3
/** Whoever switches it on waits for the first line. */
const payloadMs = 2_000

/** What one bridge does for all: it counts what flows, and looks for alerts. Any number may try. */
export async function startWatch(context: PartContext): Promise<void> {
  const { options, instance, registry, calm, log } = context
  const { startAlerts } = await import('../watch/alerts/alert-loop.ts')
  const { startPayloads } = await import('../watch/payloads/payload-loop.ts')
  const { startAnalytics } = await import('../watch/analytics/count-traffic.ts')
  const { openStore } = await import('../store/connection.ts')
  const everyMs = parseDuration(options.monitoringInterval ?? '5s')
  const services = options.services ?? []
  const rules = [...services.flatMap(({ alerts = [] }) => alerts), ...(options.alerts ?? [])]
  const store = await openStore(context.store.connectionString, {
    applicationName: `evt watch ${instance}`,
    max: connections,
  })
  context.keep('the connections of the watch', () => closeStoreWithin(store, leavingMs))
  const analytics = startAnalytics({ store, instance, log: calm, everyMs })
  context.keep('analytics', () => settlesWithin(analytics.stop(), besideMs))
  const alerts = startAlerts({ store, instance, rules, log, calm, everyMs })
  context.keep('the alerts', () => settlesWithin(alerts.stop(), besideMs))
  const masker = createMasker({ ...options.privacy, registry })
  const payloads = startPayloads({ store, instance, masker, log, calm, everyMs: Math.min(everyMs, payloadMs) })
  context.keep('the log of payloads', () => settlesWithin(payloads.stop(), besideMs))
}
