import { changeAt } from './change-at.ts'
import { EvtError } from './errors.ts'
import { type KeyOwner, type Keyring, ownerName } from './protection.ts'
import { seal, sealedBy, sealingIds, unseal } from './sealing.ts'
import type { SensitiveField } from './sensitive-fields.ts'

/** Whose state it is. */
export interface StateHolder {
  readonly id: string
  readonly tenant: string
  /** Whose key `encrypt: true` means. */
  readonly subject: string
}

export interface OpenedState {
  readonly state: unknown
  /** Paths at which null stands because the key was deleted. */
  readonly erased: readonly string[]
  /** What stood there sealed, by path and value: what has not changed is kept as it was, under the key that it had. */
  readonly known: ReadonlyMap<string, string>
}

/** Seals the marked fields of a state before it is kept, and opens them for the code that works with it. */
export interface StateSealer {
  /** To be awaited before `open`, where it is a promise. Throws `connect` and `config`. */
  loadKept(kept: unknown): Promise<void> | undefined
  /** Throws EvtError('contract') for a key that nobody knows or that does not fit. */
  open(kept: unknown): OpenedState
  /** As `loadKept`, before `close`. */
  loadOwners(state: unknown, holder: StateHolder, opened?: OpenedState): Promise<void> | undefined
  /** Throws EvtError('contract') where nobody is named whose key a field is to have. */
  close(state: unknown, holder: StateHolder, opened?: OpenedState): unknown
}

/**
 * @param what whose state it is, for errors: `saga accounts.registration`
 * @param fields of the state; those that are not encrypted are left as they are
 */
export function createStateSealer(what: string, fields: readonly SensitiveField[], keyring: Keyring): StateSealer {
  const encrypted = fields.filter(({ encrypt }) => encrypt !== false)
  const nameOf = (field: SensitiveField, value: unknown) => `${field.path.join('.')}\n${JSON.stringify(value)}`

  function ownerOf({ encrypt, path }: SensitiveField, state: unknown, { tenant, subject }: StateHolder): KeyOwner {
    const name = ownerName({ subject, data: state }, encrypt as string | true)
    if (name !== undefined) return { tenant, subject: name }
    throw new EvtError(
      'contract',
      `cannot keep the state of ${what}: its ${path.join('.')} is encrypted, and nobody is named whose key that is`,
      {
        hint: `keep in the state what ${String(encrypt)} asks for, or mark the field with \`encrypt\` in the schema of the state`,
      },
    )
  }

  /** Whether something stands there that has to be sealed anew. */
  function needsKey(field: SensitiveField, state: unknown, opened: OpenedState | undefined): boolean {
    let needs = false
    changeAt(state, field.path, (value) => {
      needs ||= value !== undefined && value !== null && !opened?.known.has(nameOf(field, value))
      return value
    })
    return needs
  }

  return {
    loadKept(kept) {
      const ids = sealingIds(JSON.stringify(kept) ?? '')
      return ids.length === 0 ? undefined : keyring.loadIds(ids)
    },
    open(kept) {
      const erased = new Set<string>()
      const known = new Map<string, string>()
      let state = kept
      for (const field of encrypted)
        state = changeAt(state, field.path, (value) => {
          const id = sealedBy(value)
          if (id === undefined) return value
          const key = keyring.keyOfId(id)
          if (!key) throw unknownKey(what, field, id)
          if (key === 'forgotten') {
            erased.add(field.path.join('.'))
            return null
          }
          const plain = unseal(value as string, key)
          known.set(nameOf(field, plain), value as string)
          return plain
        })
      return { state, erased: [...erased], known }
    },
    loadOwners(state, holder, opened) {
      const owners = encrypted.flatMap((field) =>
        needsKey(field, state, opened) ? [ownerOf(field, state, holder)] : [],
      )
      return owners.length === 0 ? undefined : keyring.loadOwners(owners)
    },
    close(state, holder, opened) {
      let kept = state
      for (const field of encrypted)
        kept = changeAt(kept, field.path, (value) => {
          if (value === undefined || value === null) return value
          const before = opened?.known.get(nameOf(field, value))
          if (before !== undefined) return before
          const key = keyring.keyOf(ownerOf(field, state, holder))
          if (!key) throw new EvtError('internal', `cannot keep the state of ${what}: its key was not loaded`)
          return seal(value, key, `${holder.id}\n${field.path.join('.')}`)
        })
      return kept
    },
  }
}

const unknownKey = (what: string, { path }: SensitiveField, id: string) =>
  new EvtError('contract', `cannot decrypt ${path.join('.')} of the state of ${what}: this store has no key ${id}`)
