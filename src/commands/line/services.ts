import { createRegistry, type Registry } from '../../core/registry.ts'
import type { Runtime } from '../runtime.ts'

/** Contracts of the configured services. */
export async function loadRegistry(_runtime: Pick<Runtime, 'config'>): Promise<Registry> {
  const { contracts } = await import('../../services/icons/contracts.ts')
  return createRegistry(contracts)
}
