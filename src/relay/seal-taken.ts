import { type EncodedEvent, encodeWithText } from '../core/codec.ts'
import type { Contract } from '../core/contract.ts'
import { formatJson, parseExactly } from '../core/json-text.ts'
import { type Keyring, ownersOf, protectEvent } from '../core/protection.ts'
import { sealedMark } from '../core/sealing.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'

/** Seals, in events from outside, what contracts of this bridge encrypt; what came sealed stays as it is. */
export type SealTaken = (events: readonly EncodedEvent[]) => Promise<readonly EncodedEvent[]>

const mark = sealedMark.toString()

/** What it makes throws EvtError('contract') for an event of which nobody can say whose key it needs, and `connect`. */
export function createSealTaken(
  get: (type: string, version?: number) => Contract | undefined,
  keyring: Keyring,
): SealTaken {
  function encrypting({ type, version, dataText }: EncodedEvent): Contract | undefined {
    const contract = get(type, version)
    const isOpen =
      contract && sensitiveFields(contract).some(({ encrypt }) => encrypt !== false) && !dataText.includes(mark)
    return isOpen ? contract : undefined
  }

  return async (events) => {
    const open = events.filter(encrypting)
    if (open.length === 0) return events
    await keyring.loadOwners(ownersOf(open, get))
    return events.map((event) => {
      const contract = encrypting(event)
      if (!contract) return event
      const { dataText, checksum: _, ...plain } = event
      // Numbers keep all their digits.
      const sealed = protectEvent({ ...plain, data: parseExactly(dataText) }, contract, keyring)
      return encodeWithText(sealed, formatJson(sealed.data))
    })
  }
}
