import { createMasker, type Masker } from '../../core/masker.ts'
import { flag } from '../command.ts'
import type { Runtime } from '../runtime.ts'
import { auditAs } from './operator.ts'
import { privacyOf } from './privacy.ts'
import { loadRegistry } from './services.ts'
import { findStore, withStore } from './store.ts'

export const revealOptions = {
  reveal: flag({ says: 'sensitive fields as they are stored, for once; noted in the audit log' }),
} as const

/** What hides sensitive fields, by the contracts of the configured services. */
export async function maskerOf(runtime: Pick<Runtime, 'config'>): Promise<Masker> {
  return createMasker({ ...privacyOf(runtime), registry: await loadRegistry(runtime) })
}

/** As `maskerOf`; undefined when everything is to be shown, and then the audit log of the store in use says by whom and what. */
export async function maskerUnless(reveal: boolean, what: string, runtime: Runtime): Promise<Masker | undefined> {
  if (!reveal) return maskerOf(runtime)
  if (!(await findStore(runtime))) return undefined
  const audit = await auditAs('reveal', { target: what })
  await withStore(runtime, { command: 'reveal', max: 1 }, (store) => store.transaction((sql) => audit(sql, 1)))
  return undefined
}
