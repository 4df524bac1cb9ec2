// What the direct topology and publishers can be told: whoever writes without the types hears of what nothing would read.
import { EvtError } from './core/errors.ts'
import { assertKnownKeys, type KeysOf } from './core/known-keys.ts'
import type { EventBusOptions } from './event-bus.ts'
import type { PublisherOptions } from './publish/publisher-to-store.ts'
import type { DirectPublisherOptions } from './publisher-to-broker.ts'

const shared = { registry: true, source: true } as const
const place = {
  url: true,
  env: true,
  cwd: true,
  layout: true,
  topic: true,
  lanes: true,
  dialect: true,
  tracing: true,
  log: true,
} as const

const busNames: KeysOf<EventBusOptions> = {
  ...shared,
  ...place,
  handlers: true,
  group: true,
  duplicates: true,
  maxConcurrentHandlers: true,
  use: true,
  onResult: true,
  watchdog: true,
  checkInterval: true,
  publish: true,
  onError: true,
  instance: true,
  grace: true,
}

const sending = { ...shared, publishes: true, drafts: true, settings: true, onError: true } as const
const toStoreNames: KeysOf<PublisherOptions> = { ...sending, store: true, privacy: true }
const toBrokerNames: KeysOf<DirectPublisherOptions> = { ...sending, ...place, store: true }

/** Throws EvtError('config') for an option that there is not. */
export const assertBusOptions = (options: EventBusOptions): void => assertNames(options, busNames, 'an event bus')

/** The same, by where it publishes to. */
export const assertPublisherOptions = (options: PublisherOptions | DirectPublisherOptions): void =>
  assertNames(options, options.store === undefined ? toBrokerNames : toStoreNames, 'a publisher')

function assertNames(options: object, names: Readonly<Record<string, true>>, what: string): void {
  assertKnownKeys(options, names, {
    refuse: (reason, hint) =>
      new EvtError('config', `cannot make ${what}: ${reason}`, hint === undefined ? {} : { hint }),
  })
}
