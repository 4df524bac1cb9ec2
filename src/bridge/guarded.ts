import type { Contract } from '../core/contract.ts'
import type { Finding } from '../core/detect.ts'
import { EvtError } from '../core/errors.ts'
import { createGuard } from '../core/guard.ts'
import { createInspector, unmarkedNames } from '../core/inspector.ts'
import { compilePatterns } from '../core/pattern.ts'
import type { Registry } from '../core/registry.ts'
import { encryptingType } from '../core/sensitive-fields.ts'
import type { HandlerLog } from '../handle/handler.ts'
import type { Store } from '../store/connection.ts'
import type { BridgeOptions } from './options.ts'

interface Guarding {
  readonly options: Pick<BridgeOptions, 'privacy' | 'drafts'>
  readonly store: Store
  /** Hears of fields that look personal. */
  readonly log?: Pick<HandlerLog, 'warn'>
}

const markIt = 'sensitive(…) in its contract, or privacy.detect: off'

/**
 * The registry with what guards its contracts: keys, drafts. Throws EvtError('config') when contracts encrypt and no master key is
 * configured, or not the one that the store's keys were wrapped with: a bridge that cannot decrypt would only make dead letters.
 */
export async function openGuarded(registry: Registry, { options, store, log }: Guarding): Promise<Registry> {
  if (registry.guard) return registry
  const encrypted = encryptingType(registry)
  const { readMasterKeys } = await import('../store/open-keyring.ts')
  const { checkMasterKeys, createStoreKeyring } = await import('../store/subject-keys.ts')
  const masters = await readMasterKeys(options.privacy)
  if (encrypted !== undefined && !masters)
    throw new EvtError(
      'config',
      `cannot start: the contract of ${encrypted} encrypts, and no master key is configured`,
      {
        hint: 'set EVT_MASTER_KEY to 32 bytes in base64 (openssl rand -base64 32), or privacy.masterKeyFile',
      },
    )
  const strange = masters ? await checkMasterKeys(store, masters) : []
  if (strange.length > 0)
    log?.warn('keys of subjects are wrapped with master keys that nobody has', { masterKeys: strange.slice(0, 10) })
  const detect = options.privacy?.detect ?? 'warn'
  const report = (type: string, { path, looksLike }: Finding) =>
    log?.warn('a field looks personal and is not marked', { type, field: path, looksLike, hint: markIt })
  if (detect === 'warn')
    for (const type of registry.types())
      for (const finding of unmarkedNames(registry.get(type) as Contract)) report(type, finding)
  const guard = createGuard({
    inspect: createInspector({ detect, report }),
    keyring: masters && createStoreKeyring(store, masters),
    drafts: compilePatterns(options.drafts ?? []),
  })
  return { ...registry, guard }
}
