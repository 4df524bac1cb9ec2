import type { PrivacyOptions } from '../core/privacy-options.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import { openGuarded } from './guarded.ts'

export interface WithPrivacyOptions {
  /** Where the keys of subjects are: a URL, whose connections `close` ends, or an open store, which stays open. */
  readonly store: Store | string
  readonly privacy?: PrivacyOptions
  readonly drafts?: readonly string[]
}

export interface PrivateRegistry {
  /** For `createEventBus` and whatever else takes a registry. */
  readonly registry: Registry
  close(): Promise<void>
}

/**
 * The registry with the keys of what its contracts encrypt, for programs without a bridge: a bus on a broker seals what it publishes and
 * opens what its handlers get. Throws EvtError('config') for a missing or wrong master key, and `connect`.
 */
export async function withPrivacy(registry: Registry, options: WithPrivacyOptions): Promise<PrivateRegistry> {
  const { openStore } = await import('../store/connection.ts')
  const own =
    typeof options.store === 'string'
      ? await openStore(options.store, { applicationName: 'evt keys', max: 2 })
      : undefined
  const store = own ?? (options.store as Store)
  const close = async () => own?.close()
  try {
    return { registry: await openGuarded(registry, { options, store }), close }
  } catch (error) {
    await close()
    throw error
  }
}
