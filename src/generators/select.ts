import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import { compilePattern } from '../core/pattern.ts'
import type { Registry } from '../core/registry.ts'
import { closest, suggestion } from '../core/suggest.ts'

/** A contract with its share of the events. */
export interface Weighted {
  readonly contract: Contract
  readonly weight: number
}

/** Shares by the last word of a type, as an application in use has them; others count 10. */
const usual: ReadonlyMap<string, number> = new Map(
  Object.entries({
    created: 20,
    updated: 40,
    published: 8,
    suspended: 2,
    deleted: 3,
    login: 25,
    logout: 15,
    session_changed: 5,
    maintenance_mode: 1,
    configuration_changed: 2,
    cache_invalidated: 3,
    health_reported: 3,
    performance_reported: 6,
  }),
)

/**
 * Contracts of `types`: names, names with a version (`user.created@1`), or patterns. Each once, in registry order
 * within a pattern. Throws EvtError('unknown-type') with a suggestion, EvtError('usage') for a bad pattern or weight.
 */
export function selectContracts(
  registry: Registry,
  types: readonly string[],
  weights: Readonly<Record<string, number>> = {},
): readonly Weighted[] {
  const chosen = new Map(
    types.flatMap((text) => find(registry, text).map((one) => [`${one.type}@${one.version}`, one])),
  )
  if (chosen.size === 0)
    throw new EvtError('usage', 'cannot generate: no event type is given', { hint: 'evt gen user.created' })
  const contracts = [...chosen.values()]
  checkWeights(weights, contracts)
  const weighted = contracts.map((contract) => ({
    contract,
    weight: weights[contract.type] ?? usual.get(contract.type.split('.').at(-1) ?? '') ?? 10,
  }))
  if (weighted.every(({ weight }) => weight === 0)) throw new EvtError('usage', 'cannot generate: every weight is 0')
  return weighted
}

/** Of a type, or `type@version`. Throws EvtError('unknown-type') with a suggestion. */
export function findContract(registry: Registry, text: string): Contract {
  const [, type, version] = /^(.+)@(\d+)$/.exec(text) ?? []
  if (type !== undefined) return findVersion(registry, type, Number(version))
  const contract = registry.get(text)
  if (contract) return contract
  throw unknown(registry, text)
}

function find(registry: Registry, text: string): readonly Contract[] {
  if (/@\d+$/.test(text)) return [findContract(registry, text)]
  const found = registry.matching(compilePattern(text))
  if (found.length > 0) return found
  throw unknown(registry, text)
}

function findVersion(registry: Registry, type: string, version: number): Contract {
  const contract = registry.get(type, version)
  if (contract) return contract
  const latest = registry.get(type)
  if (!latest) throw unknown(registry, type)
  throw new EvtError('unknown-type', `cannot generate ${type}@${version}: it has versions 1 to ${latest.version}`, {
    hint: `did you mean ${type}@${latest.version}?`,
  })
}

function unknown(registry: Registry, text: string): EvtError {
  const types = registry.types()
  return new EvtError('unknown-type', `cannot generate ${text}: no contract of that type`, {
    hint: suggestion(text, types) ?? meantPattern(registry, text) ?? `known types: ${types.join(', ')}`,
  })
}

/** The pattern with each unknown word replaced by the nearest known one, when that matches something. */
function meantPattern(registry: Registry, text: string): string | undefined {
  const words = [...new Set(registry.types().flatMap((type) => type.split('.')))]
  const mended = text.replace(/[^.*{},]+/g, (word) => (words.includes(word) ? word : (closest(word, words) ?? word)))
  if (!/^[\w.*{},-]+$/.test(mended)) return undefined
  return registry.matching(compilePattern(mended)).length > 0 ? `did you mean ${mended}?` : undefined
}

function checkWeights(weights: Readonly<Record<string, number>>, contracts: readonly Contract[]): void {
  const types = contracts.map(({ type }) => type)
  for (const [type, weight] of Object.entries(weights)) {
    if (!types.includes(type)) {
      throw new EvtError('usage', `cannot weigh ${type}: it is not among the types to generate`, {
        hint: suggestion(type, types) ?? `they are ${types.join(', ')}`,
      })
    }
    if (!(weight >= 0 && weight < Infinity)) {
      throw new EvtError('usage', `cannot weigh ${type} with ${weight}: a weight is a number of 0 or more`)
    }
  }
}
