import { type EncodedEvent, encodeWithText } from '../core/codec.ts'
import type { Contract } from '../core/contract.ts'
import type { EvtEvent } from '../core/event.ts'
import { formatJson, parseExactly } from '../core/json-text.ts'
import { isUnprotected, type Keyring, ownersOf, protectEvent, protectRest } from '../core/protection.ts'
import { sealedMark } from '../core/sealing.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'

/** An event, and the JSON of its data with all digits. */
export interface Texted {
  readonly event: EvtEvent
  readonly dataText: string
}

/**
 * Seals, in what comes from outside, what contracts of this bridge encrypt; what came sealed stays as it is. Throws EvtError('contract') for
 * an event of which nobody can say whose key it needs, and `connect`.
 */
export interface SealTaken {
  events(events: readonly EncodedEvent[]): Promise<readonly EncodedEvent[]>
  /** Of what may be no event of this store; undefined where nothing of it is to be sealed. */
  texts(texts: readonly Texted[]): Promise<readonly Texted[] | undefined>
}

const mark = sealedMark.toString()

export function createSealTaken(
  get: (type: string, version?: number) => Contract | undefined,
  keyring: Keyring,
): SealTaken {
  function encrypting({ type, version }: EvtEvent): Contract | undefined {
    const contract = get(type, version)
    return contract && sensitiveFields(contract).some(({ encrypt }) => encrypt !== false) ? contract : undefined
  }

  /** Numbers keep all their digits. */
  const exactly = ({ event, dataText }: Texted): EvtEvent => ({ ...event, data: parseExactly(dataText) })

  async function load(events: readonly EvtEvent[]): Promise<void> {
    await keyring.loadOwners(ownersOf(events, get))
  }

  /** The contract by which something in it is to be sealed. Nobody's key is made for what needs none. */
  function contractOf({ event, dataText }: Texted): Contract | undefined {
    const contract = encrypting(event)
    return contract && (!dataText.includes(mark) || isUnprotected(event, contract)) ? contract : undefined
  }

  return {
    async events(events) {
      const texts = events.map((event) => ({ event, dataText: event.dataText }))
      const contracts = texts.map(contractOf)
      if (contracts.every((contract) => !contract)) return events
      await load(events.filter((_, at) => contracts[at]))
      return events.map((event, at) => {
        const contract = contracts[at]
        if (!contract) return event
        const { dataText, checksum: _, ...plain } = event
        const protect = dataText.includes(mark) ? protectRest : protectEvent
        const sealed = protect(exactly({ event: plain, dataText }), contract, keyring)
        return encodeWithText(sealed, formatJson(sealed.data))
      })
    },
    async texts(texts) {
      const contracts = texts.map(({ event }) => {
        const contract = encrypting(event)
        return contract && isUnprotected(event, contract) ? contract : undefined
      })
      if (contracts.every((contract) => !contract)) return undefined
      await load(texts.flatMap(({ event }, at) => (contracts[at] ? [event] : [])))
      return texts.map((one, at) => {
        const contract = contracts[at]
        if (!contract) return one
        const { checksum: _, ...event } = protectRest(exactly(one), contract, keyring)
        return { event, dataText: formatJson(event.data) }
      })
    },
  }
}
