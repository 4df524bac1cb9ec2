import { readFile } from 'node:fs/promises'
import { EvtError, toError } from '../core/errors.ts'
import { type MasterKeys, parseMasterKeys } from '../core/master-keys.ts'
import type { PrivacyOptions } from '../core/privacy-options.ts'
import type { Keyring } from '../core/protection.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { createStoreKeyring } from './subject-keys.ts'

/** Undefined when none is configured. Throws EvtError('config') for one that is none, and for a file that cannot be read. */
export async function readMasterKeys(options: PrivacyOptions = {}): Promise<MasterKeys | undefined> {
  const { masterKey, masterKeyFile } = options
  if (masterKey) return parseMasterKeys(masterKey, 'the master key (EVT_MASTER_KEY)')
  if (!masterKeyFile) return undefined
  const text = await readFile(masterKeyFile, 'utf8').catch((error: unknown) => {
    throw new EvtError('config', `cannot read the master key of ${masterKeyFile}: ${toError(error).message}`)
  })
  return parseMasterKeys(text, masterKeyFile)
}

/** Keys of subjects in this store; undefined when no master key is configured. Connects when a key is asked for. */
export async function openKeyring(sql: SqlExecutor, options?: PrivacyOptions): Promise<Keyring | undefined> {
  const masters = await readMasterKeys(options)
  return masters && createStoreKeyring(sql, masters)
}
