import { EvtError } from '../../core/errors.ts'
import type { MasterKeys } from '../../core/master-keys.ts'
import type { PrivacyOptions } from '../../core/privacy-options.ts'
import type { Runtime } from '../runtime.ts'

/** What the configuration says about keys and detection. */
export function privacyOf({ config }: Pick<Runtime, 'config'>): PrivacyOptions {
  return { ...config.get('privacy').value, masterKey: config.get('masterKey').value }
}

/** Throws EvtError('config') where none is configured. */
export async function requireMasterKeys(runtime: Pick<Runtime, 'config'>): Promise<MasterKeys> {
  const { readMasterKeys } = await import('../../store/open-keyring.ts')
  const masters = await readMasterKeys(privacyOf(runtime))
  if (masters) return masters
  throw new EvtError('config', 'cannot open the keys of subjects: no master key is configured', {
    hint: 'set EVT_MASTER_KEY (32 bytes in base64), or privacy.masterKeyFile in evt.config.*',
  })
}
