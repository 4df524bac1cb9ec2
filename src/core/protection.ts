import { changeAt } from './change-at.ts'
import type { Contract } from './contract.ts'
import { EvtError } from './errors.ts'
import type { EvtEvent, NewEvent } from './event.ts'
import { type SealingKey, seal, sealedBy, unseal } from './sealing.ts'
import { type SensitiveField, sensitiveFields } from './sensitive-fields.ts'

/** Whose key it is. Subjects of one name in two tenants are two. */
export interface KeyOwner {
  readonly tenant: string
  readonly subject: string
}

/** Keys of subjects, loaded before they are needed: sealing and opening wait for nothing. */
export interface Keyring {
  /** Undefined when all are there already. Throws `connect`, or `config` when no master key opens them. */
  loadOwners(owners: readonly KeyOwner[]): Promise<void> | undefined
  loadIds(ids: readonly string[]): Promise<void> | undefined
  /** Of a loaded owner. */
  keyOf(owner: KeyOwner): SealingKey | undefined
  /** Of a loaded id; `forgotten` when it was deleted, undefined when nobody knows it. */
  keyOfId(id: string): SealingKey | 'forgotten' | undefined
}

/** What a row of the store's index holds. */
const mostNameBytes = 2_000

/** Asking the store for the key of any other name would fail for all that are asked for with it. */
function isOwner({ tenant, subject }: KeyOwner): boolean {
  const name = tenant + subject
  return subject !== '' && !name.includes('\0') && name.isWellFormed() && Buffer.byteLength(name) <= mostNameBytes
}

/** Whose keys publishing these events needs. Who can have none is left out: `protectEvent` says so. */
export function ownersOf(events: readonly NewEvent[], get: (type: string, version?: number) => Contract | undefined) {
  const owners: KeyOwner[] = []
  for (const event of events) {
    const contract = get(event.type, event.version)
    if (!contract) continue
    for (const field of sensitiveFields(contract)) {
      const subject = field.encrypt === false ? undefined : ownerName(event, field.encrypt)
      const tenant = event.tenant ?? ''
      if (subject !== undefined && isOwner({ tenant, subject })) owners.push({ tenant, subject })
    }
  }
  return owners
}

/**
 * The event with its encrypted fields sealed; the same object where its contract has none. Throws EvtError('config') without a keyring:
 * nothing is published in plain text that was to be encrypted.
 */
export function protectEvent(event: EvtEvent, contract: Contract, keyring: Keyring | undefined): EvtEvent {
  let data: unknown = event.data
  for (const field of sensitiveFields(contract)) {
    if (field.encrypt === false) continue
    const key = keyFor(event, field, keyring)
    data = changeAt(data, field.path, (value) => {
      if (value === undefined) return undefined
      if (value !== null) return seal(value, key, `${event.id}\n${field.path.join('.')}`)
      if (field.erasable) throw erasedOnPublish(event, field)
      return null
    })
  }
  return data === event.data ? event : { ...event, data }
}

/** As `protectEvent`, of an event of which some is sealed already, or erased: that stays as it is. */
export function protectRest(event: EvtEvent, contract: Contract, keyring: Keyring): EvtEvent {
  let data: unknown = event.data
  for (const field of sensitiveFields(contract)) {
    if (field.encrypt === false) continue
    data = changeAt(data, field.path, (value) =>
      isOpen(value) ? seal(value, keyFor(event, field, keyring), `${event.id}\n${field.path.join('.')}`) : value,
    )
  }
  return data === event.data ? event : { ...event, data }
}

/** Whether there is something for `protectRest` to seal. */
export function isUnprotected({ data }: EvtEvent, contract: Contract): boolean {
  let found = false
  for (const { encrypt, path } of sensitiveFields(contract))
    if (encrypt !== false)
      changeAt(data, path, (value) => {
        found ||= isOpen(value)
        return value
      })
  return found
}

const isOpen = (value: unknown): boolean => value !== undefined && value !== null && sealedBy(value) === undefined

function keyFor(event: EvtEvent, field: SensitiveField, keyring: Keyring | undefined) {
  const where = `its contract encrypts data.${field.path.join('.')}`
  if (!keyring)
    throw new EvtError('config', `cannot publish ${event.type}: ${where}, and no master key is configured`, {
      hint: 'set EVT_MASTER_KEY (32 bytes in base64) or privacy.masterKeyFile; in a program give createPublisher a keyring',
    })
  const subject = ownerName(event, field.encrypt as string | true)
  if (subject === undefined || subject === '')
    throw new EvtError('contract', `cannot publish ${event.type}: ${where}, and nobody is named whose key that is`, {
      hint:
        field.encrypt === true
          ? 'give the event a subject'
          : `the data must have what ${field.encrypt} asks for; encrypt: true uses the event's subject`,
    })
  const owner = { tenant: event.tenant ?? '', subject }
  if (!isOwner(owner))
    throw new EvtError('contract', `cannot publish ${event.type}: ${where}, and nobody of that name can have a key`, {
      hint: `a name is at most ${mostNameBytes} bytes, with its tenant, and holds no U+0000`,
    })
  const key = keyring.keyOf(owner)
  if (!key) throw new EvtError('internal', `cannot publish ${event.type}: the key of its subject was not loaded`)
  return key
}

const erasedOnPublish = ({ type, version }: EvtEvent, { path }: SensitiveField) =>
  new EvtError(
    'contract',
    `cannot accept ${type} v${version}: data.${path.join('.')} is null, which only erasing writes`,
  )

/** `user/{customerId}` with the data's own values; undefined where one is missing. */
export function ownerName(
  { subject, data }: Pick<NewEvent, 'subject' | 'data'>,
  encrypt: string | true,
): string | undefined {
  if (encrypt === true) return subject
  let isWhole = true
  const name = encrypt.replace(/\{([^}]*)\}/g, (_, path: string) => {
    const value = path.split('.').reduce<unknown>((inner, key) => {
      return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<string, unknown>)[key]
        : undefined
    }, data)
    if (typeof value === 'string' || typeof value === 'number') return String(value)
    isWhole = false
    return ''
  })
  return isWhole && name !== '' ? name : undefined
}

/**
 * The event with its encrypted fields opened; null stands where the key was deleted. The same object where nothing is sealed. The
 * checksum, which is over the sealed bytes, goes with them. Throws EvtError('contract') for a key that nobody knows or that does not fit.
 */
export function revealEvent(event: EvtEvent, contract: Contract, keyring: Keyring | undefined): EvtEvent {
  let data: unknown = event.data
  for (const field of sensitiveFields(contract)) {
    if (field.encrypt === false) continue
    data = changeAt(data, field.path, (value) => {
      const id = sealedBy(value)
      return id === undefined ? value : opened(value as string, { event, id, keyring })
    })
  }
  if (data === event.data) return event
  const { checksum: _, ...rest } = event
  return { ...rest, data }
}

function opened(
  value: string,
  { event, id, keyring }: { readonly event: EvtEvent; readonly id: string; readonly keyring: Keyring | undefined },
): unknown {
  const key = keyring?.keyOfId(id)
  if (key === 'forgotten') return null
  if (key) return unseal(value, key)
  throw new EvtError('contract', `cannot decrypt ${event.type} ${event.id}: this store has no key ${id}`, {
    hint: 'keys are in the store that the event was first published to; a bridge to another store hands on what it cannot read',
  })
}
