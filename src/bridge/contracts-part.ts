import { fingerprintOfContract, versionsOf } from '../core/contract-schemas.ts'
import { toError } from '../core/errors.ts'
import { settlesWithin } from '../store/close-within.ts'
import { writeContracts } from '../store/contracts.ts'
import type { PartContext } from './part.ts'

const besideMs = 1_000

/** Writes down what this bridge knows of contracts, so that two bridges that do not mean the same by one version are found. */
export function startContracts({ store, registry, instance, calm, keep }: PartContext): void {
  const known = registry.types().flatMap((type) =>
    versionsOf(registry, type).map((contract) => ({
      type,
      version: contract.version,
      fingerprint: fingerprintOfContract(contract),
      draft: contract.draft === true,
    })),
  )
  const writing = writeContracts(store, instance, known).catch((error: unknown) =>
    calm.warn('cannot write down the contracts', { error: toError(error).message }),
  )
  keep('the contracts', () => settlesWithin(writing, besideMs))
}
