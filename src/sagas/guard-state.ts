import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import { fieldPaths, shapeOf } from '../core/json-shape.ts'
import type { Keyring } from '../core/protection.ts'
import { maskPath, type SensitiveField, sensitiveFields } from '../core/sensitive-fields.ts'
import { createStateSealer, type StateSealer } from '../core/state-sealing.ts'
import { withoutValues } from '../core/without-values.ts'
import { contractsOf, type SagaConfig } from './saga-config.ts'

/** What of a saga's state is not for everybody. */
export interface StateGuard {
  /** Paths of the state, for masking. */
  readonly sensitive: readonly string[]
  /** Undefined where nothing of the state is encrypted. */
  readonly sealer: StateSealer | undefined
  /** The text without the values of sensitive fields: an error often repeats what it could not use. */
  discreet(text: string, of: { readonly event: EvtEvent; readonly states: readonly unknown[] }): string
}

/** Throws EvtError('config') where the state is encrypted and there are no keys, or where a field has no place of its own. */
export function createStateGuard(config: SagaConfig, keyring: Keyring | undefined): StateGuard {
  const fields = stateFields(config)
  const contracts = contractsOf(config)
  const encrypted = fields.find(({ encrypt }) => encrypt !== false)
  if (encrypted && !keyring)
    throw new EvtError(
      'config',
      `cannot use saga ${config.name}: its state encrypts ${encrypted.path.join('.')}, and no master key is configured`,
      { hint: 'set EVT_MASTER_KEY to 32 bytes in base64 (openssl rand -base64 32), or privacy.masterKeyFile' },
    )
  return {
    sensitive: [...new Set(fields.map((field) => maskPath(field).slice('data.'.length)))].filter((path) => path !== ''),
    sealer: encrypted && keyring && createStateSealer(`saga ${config.name}`, fields, keyring),
    discreet(text, { event, states }) {
      const contract = contracts.find(({ type, version }) => type === event.type && version === event.version)
      const within = contract ? withoutValues(text, sensitiveFields(contract), event.data) : text
      return states.reduce<string>((shown, state) => withoutValues(shown, fields, state), within)
    },
  }
}

/** What the schema marks; and, of a state that begins as an event's data, what the event's contract encrypts. */
function stateFields(config: SagaConfig): readonly SensitiveField[] {
  const own = sensitiveFields(stateContract(config))
  if (!config.beginsAsData) return own
  const nameOf = ({ path }: SensitiveField) => path.join('.')
  const taken = new Set(own.filter(({ encrypt }) => encrypt !== false).map(nameOf))
  const inherited = sensitiveFields(config.startsOn).filter((one) => one.encrypt !== false && !taken.has(nameOf(one)))
  return [...own, ...inherited]
}

const known = new WeakMap<SagaConfig, Contract>()

/** Fields are looked for in contracts; they are found once. */
function stateContract(config: SagaConfig): Contract {
  const contract = known.get(config) ?? {
    type: `the state of saga ${config.name}`,
    version: config.version,
    schema: config.schema,
  }
  known.set(config, contract)
  return contract
}

/**
 * Fields of the state that have the name of one that an event of the saga encrypts, and that are not encrypted: what was a secret on
 * its way here may be kept in plain text.
 */
export function unsealedNames(config: SagaConfig): readonly string[] {
  const lastOf = ({ path }: SensitiveField) => path.filter((name) => name !== '[]').at(-1)
  const secrets = new Set(
    contractsOf(config).flatMap((contract) =>
      sensitiveFields(contract).flatMap((one) => (one.encrypt === false ? [] : [lastOf(one)])),
    ),
  )
  const sealed = new Set(stateFields(config).flatMap((one) => (one.encrypt === false ? [] : [one.path.join('.')])))
  return fieldPaths(shapeOf(config.schema), '').flatMap(({ path, field }) =>
    secrets.has(field.name) && ![...sealed].some((one) => path === one || path.startsWith(`${one}.`)) ? [path] : [],
  )
}
