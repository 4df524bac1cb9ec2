import { type Keyring, ownersOf, protectEvent } from '../../core/protection.ts'
import { sealedMark } from '../../core/sealing.ts'
import { encryptsAny } from '../../core/sensitive-fields.ts'
import type { Store } from '../../store/connection.ts'
import { privacyOf } from '../line/privacy.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import type { SourceEvent } from './source.ts'

export type Seal = (events: readonly SourceEvent[]) => Promise<readonly SourceEvent[]>

/**
 * Seals what the contracts of the configured services encrypt, with the keys of the store that is published to. Throws EvtError('config') where
 * there is no key: nothing that is to be encrypted is written in plain text. What is sealed already stays.
 */
export async function createSeal(runtime: Runtime, store?: Store): Promise<Seal> {
  const registry = await loadRegistry(runtime)
  if (!encryptsAny(registry)) return async (events) => events
  const { openKeyring } = await import('../../store/open-keyring.ts')
  const keyring: Keyring | undefined = store && (await openKeyring(store, privacyOf(runtime)))
  return async (events) => {
    await keyring?.loadOwners(ownersOf(events, registry.get))
    return events.map((event) => {
      const contract = registry.get(event.type, event.version)
      if (!contract || event.dataText?.includes(sealedMark.toString())) return event
      const { data } = protectEvent(event, contract, keyring)
      if (data === event.data) return event
      const { dataText: _, ...rest } = event
      return { ...rest, data }
    })
  }
}
