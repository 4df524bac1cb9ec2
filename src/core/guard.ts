import type { Contract } from './contract.ts'
import { EvtError } from './errors.ts'
import type { EvtEvent, NewEvent } from './event.ts'
import type { Pattern } from './pattern.ts'
import { type Keyring, ownersOf, protectEvent, revealEvent } from './protection.ts'
import { sealedMark, sealingIds } from './sealing.ts'

type Get = (type: string, version?: number) => Contract | undefined

/** What stands between an event and its bytes, on the way in and on the way out. It travels with the registry. */
export interface Guard {
  /** Whether there is something in it that is to be sealed. */
  needsKeys(event: NewEvent, get: Get): boolean
  /** To be awaited before `pass`, where it is a promise: the keys that these events need. Throws `connect` and `config`. */
  load(events: readonly NewEvent[], get: Get): Promise<void> | undefined
  /**
   * A valid event as it may be written: with its encrypted fields sealed. Throws `config` where a key is missing, `refused` for a draft
   * that nothing allows, and whatever the detector says.
   */
  pass(event: EvtEvent, contract: Contract | undefined): EvtEvent
  /** Whether it has keys: else nothing needs to be loaded. */
  readonly opens: boolean
  /** For what is sealed and is no event. */
  readonly keyring: Keyring | undefined
  /** As `load`, before `reveal`. */
  loadSealed(bodies: readonly Uint8Array[]): Promise<void> | undefined
  /** The event with its fields opened; null where a key was deleted. Throws `contract` for a key that is unknown or does not fit. */
  reveal(event: EvtEvent, contract: Contract): EvtEvent
}

export interface GuardOptions {
  readonly keyring?: Keyring | undefined
  /** Types whose drafts may be published. */
  readonly drafts?: Pick<Pattern, 'matches'> | undefined
  /** Looks at the data before it is sealed; throws to refuse. */
  readonly inspect?: ((event: EvtEvent, contract: Contract | undefined) => void) | undefined
}

export function createGuard({ keyring, drafts, inspect }: GuardOptions): Guard {
  return {
    opens: keyring !== undefined,
    keyring,
    needsKeys: (event, get) => keyring !== undefined && ownersOf([event], get).length > 0,
    load(events, get) {
      if (!keyring) return undefined
      const owners = ownersOf(events, get)
      return owners.length === 0 ? undefined : keyring.loadOwners(owners)
    },
    pass(event, contract) {
      inspect?.(event, contract)
      if (!contract) return event
      if (contract.draft && !drafts?.matches(event.type)) throw isDraft(event.type)
      return protectEvent(event, contract, keyring)
    },
    loadSealed(bodies) {
      const sealed = bodies.filter((body) => holdsSealed(body))
      if (!keyring || sealed.length === 0) return undefined
      return keyring.loadIds([...new Set(sealed.flatMap((body) => sealingIds(bufferOf(body).toString('utf8'))))])
    },
    reveal: (event, contract) => revealEvent(event, contract, keyring),
  }
}

/** Of a registry that was given none: drafts, and what has to be encrypted, are refused. */
export const plainGuard: Guard = createGuard({})

const bufferOf = (body: Uint8Array) => Buffer.from(body.buffer, body.byteOffset, body.byteLength)
const holdsSealed = (body: Uint8Array) => bufferOf(body).includes(sealedMark)

const isDraft = (type: string) =>
  new EvtError('refused', `cannot publish ${type}: its contract is a draft`, {
    hint: `allow it where it is tried out: drafts: ['${type}'] in the configuration, or EVT_DRAFTS=${type}`,
  })
