import { createMasker } from '../core/masker.ts'
import type { Subscribers } from '../handle/subscribers.ts'
import type { EventPorts } from '../serve/ports.ts'
import { closeStoreWithin, settlesWithin } from '../store/close-within.ts'
import type { Store } from '../store/connection.ts'
import { stuckHandlers } from '../watch/stuck.ts'
import { ownVersion } from './instance-part.ts'
import type { BridgeRole } from './options.ts'
import type { PartContext } from './part.ts'

/** A burst of requests may not take the connections of relay and handlers. */
const connections = 4
const leavingMs = 500
/** The store must say within this time that it is there. */
const readyMs = 2_000

export interface HttpPartOptions {
  readonly roles: readonly BridgeRole[]
  readonly subscribers: Subscribers | undefined
}

/** Serves HTTP: the role takes events in and lets others follow; without it this process is only looked at. Returns its URL. */
export async function startHttp(context: PartContext, { roles, subscribers }: HttpPartOptions): Promise<string> {
  const { options, registry, instance, recorder, calm, graceMs } = context
  const { resolveHttp } = await import('../serve/http-config.ts')
  const { openHttpServer } = await import('../serve/http-server.ts')
  const { openStore } = await import('../store/connection.ts')
  const { noteTokensUsed, readLiveTokens } = await import('../store/tokens.ts')
  const { createAudit } = await import('../store/audit.ts')
  const { createMetrics } = await import('../watch/metrics/metrics.ts')
  const config = resolveHttp(options.http ?? {})
  const store = await openStore(context.store.connectionString, {
    applicationName: `evt http ${instance}`,
    max: connections,
  })
  context.keep('the connections of HTTP', () => closeStoreWithin(store, leavingMs))
  const audits = new Map<string, ReturnType<typeof createAudit>>()
  const server = await openHttpServer(config, {
    events: roles.includes('http') ? await openEvents(context, store) : undefined,
    masker: createMasker({ ...options.privacy, registry }),
    version: ownVersion(),
    report: calm,
    tokens: { live: () => readLiveTokens(store), used: (ids) => noteTokensUsed(store, ids) },
    async denied({ who, target, reason }, times) {
      const key = `${who}\n${target}\n${reason}`
      if (audits.size > 1_000) audits.clear()
      const audit = audits.get(key) ?? createAudit({ who, verb: 'http denied', target, reason })
      audits.set(key, audit)
      await store.transaction((sql) => audit(sql, times))
    },
    health: async () => [
      ...(await healthOf(store, { roles, subscribers })),
      ...stuckHandlers(recorder.sample().handlers),
    ],
    stats: () => ({ instance, roles, ...recorder.sample() }),
    metrics: createMetrics({ store, recorder, instance, version: ownVersion(), roles }),
  })
  // A client that dribbles must not take the handlers' grace.
  const ownMs = roles.includes('handlers') ? graceMs / 2 : graceMs
  context.keep('HTTP', () => server.close(ownMs))
  return server.url
}

async function openEvents({ registry, instance, keep }: PartContext, store: Store): Promise<EventPorts> {
  const { createIngest } = await import('../serve/ingest.ts')
  const { createLogReader } = await import('../store/log.ts')
  const log = createLogReader(store)
  keep('the log reader of HTTP', () => log.close())
  return { publish: createIngest({ store, registry, source: instance }), log }
}

/** Why not; each in the words of an operator. */
async function healthOf(store: Store, { roles, subscribers }: HttpPartOptions): Promise<readonly string[]> {
  const reasons: string[] = []
  if (roles.includes('handlers') && !subscribers) reasons.push('its handlers do not run')
  const asked = store.query('select coalesce(lease_until > clock_timestamp(), false) as led from evt.relay')
  if (!(await settlesWithin(asked, readyMs))) return [...reasons, 'the store does not answer']
  const led = await asked.then(
    ({ rows }) => rows[0]?.led === true,
    () => undefined,
  )
  if (led === undefined) reasons.push('the store is away')
  else if (!led) reasons.push('no relay leads: what is published waits')
  return reasons
}
