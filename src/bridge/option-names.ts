import { EvtError } from '../core/errors.ts'
import { assertKnownKeys, type KeysOf } from '../core/known-keys.ts'
import type { BridgeOptions } from './options.ts'

const names: KeysOf<BridgeOptions> = {
  store: true,
  handlers: true,
  sagas: true,
  sagaTimeout: true,
  registry: true,
  services: true,
  roles: true,
  instance: true,
  log: true,
  grace: true,
  connections: true,
  maxConcurrentHandlers: true,
  watchdog: true,
  use: true,
  onResult: true,
  checkInterval: true,
  sinks: true,
  sources: true,
  consume: true,
  http: true,
  retention: true,
  tracing: true,
  alerts: true,
  monitoringInterval: true,
  privacy: true,
  drafts: true,
}

/** Throws EvtError('config') for an option that nothing would read, whoever wrote it without the types. */
export function assertBridgeOptions(options: BridgeOptions): void {
  const ofService = 'projections' in options ? 'they belong to a service: defineService({ projections })' : undefined
  assertKnownKeys(options, names, {
    refuse: (reason, hint = '') =>
      new EvtError('config', `cannot make a bridge: ${reason}`, { hint: ofService ?? hint }),
  })
}
