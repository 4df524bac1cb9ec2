import type { z } from 'zod'
import type { Contract } from './contract.ts'
import type { EventContract } from './define-event.ts'
import { EvtError, toError } from './errors.ts'
import type { EvtEvent } from './event.ts'
import type { Guard } from './guard.ts'
import { maskPath, sensitiveFields } from './sensitive-fields.ts'
import { suggestion } from './suggest.ts'

// biome-ignore lint/suspicious/noExplicitAny: a registry holds contracts of different payloads
type AnyContract = Contract<any> | EventContract<any>

/** The event types that this process knows. Lookups and checks are cheap; nothing in it changes after creation. */
export interface Registry {
  /** Every type, sorted. */
  types(): readonly string[]
  /** The latest version, or the one asked for; undefined when it is not known. */
  get(type: string, version?: number): Contract | undefined
  /** Latest contracts of the types that the pattern matches, sorted by type. */
  matching(pattern: { matches(type: string): boolean }): readonly Contract[]
  /**
   * Returns when the event fits the contract of its version. Throws EvtError('contract') naming field, type, version
   * and what was expected, or EvtError('unknown-type'), for which `isNewerVersion` tells a version from the future.
   */
  validate(event: Pick<EvtEvent, 'type' | 'version' | 'data'>): void
  /**
   * The event as `toVersion`, through every upcast in between and checked against the result; the same object when it
   * has that version. Throws like `validate`, and EvtError('contract') downwards or when an upcast fails.
   */
  migrate(event: EvtEvent, toVersion: number): EvtEvent
  /** Paths of the fields of this version that `sensitive()` marks: `data.user_data.email`. Of an unknown version, those of all. */
  sensitivePaths(type: string, version?: number): readonly string[]
  /** Seals and opens what contracts encrypt, and refuses drafts; without one, events of such contracts cannot be published. */
  readonly guard?: Guard | undefined
}

/** The `cause` of EvtError('unknown-type') when the type is known, but only up to a lower version. */
export interface NewerVersion {
  readonly reason: 'newer-version'
  readonly type: string
  readonly version: number
  readonly latest: number
}

/** A version from the future: the event is to be parked until this service is upgraded, not to be failed. */
export function isNewerVersion(error: unknown): error is EvtError & { readonly cause: NewerVersion } {
  if (!(error instanceof EvtError) || error.code !== 'unknown-type') return false
  return typeof error.cause === 'object' && (error.cause as Partial<NewerVersion> | null)?.reason === 'newer-version'
}

/** Throws EvtError('config') when two different contracts claim one type; the same object twice is no conflict. */
export function createRegistry(contracts: readonly AnyContract[], guard?: Guard): Registry {
  const known = collect(contracts)
  const types = Object.freeze([...known.keys()].sort())
  const sensitive = new Map<Contract, readonly string[]>()

  const get = (type: string, version?: number): Contract | undefined => {
    const versions = known.get(type)
    return version === undefined ? versions?.at(-1) : versions?.find((one) => one.version === version)
  }
  const demand = (type: string, version: number): Contract => {
    const contract = get(type, version)
    if (contract) return contract
    throw unknownError(type, version, types, known.get(type)?.at(-1)?.version)
  }
  return {
    guard,
    types: () => types,
    get,
    matching: (pattern) => types.filter((type) => pattern.matches(type)).map((type) => get(type) as Contract),
    validate: (event) => check(demand(event.type, event.version), event.data),
    migrate(event, toVersion) {
      const from = demand(event.type, event.version)
      const to = demand(event.type, toVersion)
      if (from === to) return event
      const steps = (known.get(event.type) ?? []).filter(
        (one) => one.version > from.version && one.version <= toVersion,
      )
      return { ...withoutChecksum(event), version: toVersion, data: upcast(event, to, steps) }
    },
    sensitivePaths(type, version) {
      const contract = get(type, version)
      if (!contract) return [...new Set((known.get(type) ?? []).flatMap(findSensitive))]
      const paths = sensitive.get(contract) ?? findSensitive(contract)
      sensitive.set(contract, paths)
      return paths
    },
  }
}

/**
 * What a registry of these services is made of: a contract that several of them list is one. Throws EvtError('config') naming both services
 * where two of them mean different things by one type.
 */
export function contractsOfServices(
  services: readonly { readonly name: string; readonly contracts: readonly AnyContract[] }[],
): readonly AnyContract[] {
  const owners = new Map<string, { readonly service: string; readonly contract: AnyContract }>()
  for (const { name: service, contracts } of services) {
    for (const contract of contracts) {
      const owner = owners.get(contract.type)
      if (owner && owner.contract !== contract) throw claimedTwice(contract.type, owner.service, service)
      if (!owner) owners.set(contract.type, { service, contract })
    }
  }
  return [...owners.values()].map(({ contract }) => contract)
}

function claimedTwice(type: string, one: string, other: string): EvtError {
  const whose = one === other ? `service ${one} has two contracts` : `services ${one} and ${other} have two contracts`
  return new EvtError('config', `cannot register ${type}: ${whose} of that type`, {
    hint:
      one === other
        ? 'one type has one contract, with all its versions: take one away'
        : `one type has one owner: let ${other} import the contract of ${one}, or give its event a name of its own`,
  })
}

function collect(contracts: readonly AnyContract[]): Map<string, readonly Contract[]> {
  const known = new Map<string, readonly Contract[]>()
  const owners = new Map<string, AnyContract>()
  for (const contract of contracts) {
    const owner = owners.get(contract.type)
    if (owner === contract) continue
    if (owner) {
      throw new EvtError('config', `cannot register ${contract.type}: another contract of that type is registered`, {
        hint: 'one type has one owner: import its contract, or give the event a name of its own',
      })
    }
    owners.set(contract.type, contract)
    known.set(contract.type, 'versions' in contract ? contract.versions : [contract])
  }
  return known
}

function unknownError(type: string, version: number, types: readonly string[], latest: number | undefined): EvtError {
  if (latest === undefined) {
    const known = types.length === 0 ? 'no contract is registered' : `known types: ${types.slice(0, 8).join(', ')}`
    return new EvtError('unknown-type', `cannot check ${type}: no contract of that type`, {
      hint: suggestion(type, types) ?? known,
    })
  }
  if (Number.isInteger(version) && version > latest) {
    const cause: NewerVersion = { reason: 'newer-version', type, version, latest }
    return new EvtError('unknown-type', `cannot check ${type} v${version}: this process knows it up to v${latest}`, {
      hint: `give this service the contract of v${version}`,
      cause,
    })
  }
  return new EvtError('unknown-type', `cannot check ${type}: ${String(version)} is no version of it`, {
    hint: `versions 1 to ${latest} exist`,
  })
}

function check(contract: Contract, data: unknown): void {
  const result = parse(contract, data)
  if (!result.success) throw mismatch(contract, result.error.issues)
}

/** A schema that refers to itself recurses as deep as the data is; checks and transforms of its own can throw too. */
function parse(contract: Contract, data: unknown) {
  try {
    return contract.schema.safeParse(data)
  } catch (thrown) {
    const { name, message } = toError(thrown)
    const title = `cannot accept ${contract.type} v${contract.version}`
    throw new EvtError('contract', `${title}: its schema threw ${name}: ${message}`, { cause: thrown })
  }
}

/** Names fields and expectations, never values: they may be sensitive. */
function mismatch(contract: Contract, issues: readonly z.core.$ZodIssue[]): EvtError {
  const [first, ...rest] = issues.map(
    (issue) => `${pathOf(issue.path)}: ${issue.message.replace(/^Invalid input: /, '')}`,
  )
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more: ${rest.slice(0, 3).join('; ')})`
  return new EvtError('contract', `cannot accept ${contract.type} v${contract.version}: ${first}${more}`, {
    hint: `compare the event with the contract of ${contract.type} v${contract.version}`,
  })
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'data',
  )
}

function upcast(event: EvtEvent, to: Contract, steps: readonly Contract[]): unknown {
  const title = `cannot migrate ${event.type} v${event.version} to v${to.version}`
  if (steps.length === 0) throw new EvtError('contract', `${title}: there are only upcasts`)
  let data: unknown = event.data
  for (const step of steps) {
    try {
      data = step.upcast?.(data)
    } catch (thrown) {
      const error = toError(thrown)
      throw new EvtError('contract', `${title}: the upcast to v${step.version} threw ${error.name}: ${error.message}`, {
        cause: error,
      })
    }
  }
  check(to, data)
  return data
}

/** The checksum is over the bytes of the old data. */
function withoutChecksum(event: EvtEvent): EvtEvent {
  const { checksum: _, ...rest } = event
  return rest
}

const findSensitive = (contract: Contract): readonly string[] => [...new Set(sensitiveFields(contract).map(maskPath))]
