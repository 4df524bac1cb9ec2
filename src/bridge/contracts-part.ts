import { setTimeout as delay } from 'node:timers/promises'
import { fingerprintOfContract, versionsOf } from '../core/contract-schemas.ts'
import { toError } from '../core/errors.ts'
import { patternAlternatives } from '../core/pattern.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'
import { suggestion } from '../core/suggest.ts'
import { settlesWithin } from '../store/close-within.ts'
import { writeContracts } from '../store/contracts.ts'
import { assertCapturesSealed, type SealedVersion, writeSealed } from '../store/sealed-fields.ts'
import type { PartContext } from './part.ts'

const besideMs = 1_000
const againMs = 5_000

/**
 * Tells the store what contracts encrypt, so that it refuses what SQL would write in plain text. Throws EvtError('usage') for a table whose
 * capture would. While writers hold the outbox it tries again, beside the start.
 */
export async function startSealing({ store, registry, calm, keep, signal }: PartContext): Promise<void> {
  const known = registry.types().flatMap((type) =>
    versionsOf(registry, type).map((contract): SealedVersion => {
      const paths = sensitiveFields(contract).flatMap(({ path, encrypt }) => (encrypt === false ? [] : [path]))
      return { type, version: contract.version, paths }
    }),
  )
  await assertCapturesSealed(store, known)
  const isSealing = known.some(({ paths }) => paths.length > 0)
  try {
    await writeSealed(store, known)
  } catch (error) {
    // A bridge whose contracts encrypt nothing has nothing to protect.
    if (!isSealing) return
    calm.warn('writers in SQL are not kept from what contracts encrypt; trying again', {
      error: toError(error).message,
    })
    const trying = untilSealed(store, known, signal)
    keep('what is encrypted', () => settlesWithin(trying, besideMs))
  }
}

async function untilSealed(
  store: PartContext['store'],
  known: readonly SealedVersion[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await delay(againMs, undefined, { signal }).catch(() => {})
    const done = await writeSealed(store, known).then(
      () => true,
      () => false,
    )
    if (done) return
  }
}

/** Says which types handlers wait for that no contract has, where one of nearly that name has: they would wait for good. */
export function warnOfMistypes({ options, registry, log }: PartContext): void {
  const known = registry.types()
  const handlers = [...(options.handlers ?? []), ...(options.services ?? []).flatMap((service) => service.handlers)]
  for (const { name, on } of handlers) {
    for (const type of on.flatMap((one) => (typeof one === 'string' ? patternAlternatives(one) : []))) {
      if (type.includes('*') || registry.get(type)) continue
      const hint = suggestion(type, known)
      if (hint) log.warn('a handler listens to a type that no contract knows', { handler: name, type, hint })
    }
  }
}

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
