import { checksumOf } from '../core/checksum.ts'
import { type EncodedEvent, encodeEvent, encodeWithText } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import { formatJson, parseExactly } from '../core/json-text.ts'
import { protectEvent } from '../core/protection.ts'
import type { Registry } from '../core/registry.ts'
import { encodeWhole, wholeEvent } from '../publish/publisher.ts'
import type { Store } from '../store/connection.ts'
import { isOutage, isRefusal } from '../store/errors.ts'
import { findKnownIds, type KnownId } from '../store/event-keys.ts'
import { publishEncoded } from '../store/outbox.ts'
import type { Candidate, EventPorts, Outcome } from './ports.ts'

export interface IngestOptions {
  readonly store: Store
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** What `source` says when an event does not. */
  readonly source: string
}

/** An event that may be published, before its bytes are fixed. */
interface Checked {
  readonly at: number
  readonly whole: EvtEvent
  readonly dataText: string | undefined
}

/** An event on its way, and its place in the request. */
interface Ready {
  readonly at: number
  readonly event: EncodedEvent
}

type Refused = Extract<Outcome, { outcome: 'refused' }>

/**
 * Checks each event by itself, and commits all that may be in one statement, under their ids as keys. Of one id, the first bytes
 * count: the same again is a duplicate, others are refused and kept by the store as it does with everybody's.
 */
export function createIngest({ store, registry, source }: IngestOptions): EventPorts['publish'] {
  const options = { registry, source }

  /** All that can be said without a key: nobody gets one for what is refused. */
  function check(given: Candidate, mayPublish: (type: string) => boolean): Omit<Checked, 'at'> {
    if ('error' in given) throw given.error
    const { event, dataText } = given
    if (!mayPublish(event.type))
      throw new EvtError('refused', 'cannot publish: this token is not for events of this type', {
        hint: 'a token has its types from evt token create --types',
        cause: ofToken,
      })
    const whole = wholeEvent(event, options)
    if (registry.guard?.needsKeys(whole, registry.get)) encodeEvent(whole)
    return { whole, dataText }
  }

  function encode({ whole, dataText }: Checked): EncodedEvent {
    const prepared = encodeWhole(whole, options)
    const isSealed = prepared.data !== whole.data
    const hasDigits = dataText !== undefined && dataText !== prepared.dataText
    const encoded = !hasDigits
      ? prepared
      : isSealed
        ? sealExactly(prepared, dataText)
        : encodeWithText(prepared, dataText)
    const given = isSealed ? () => checksumOf(dataText ?? JSON.stringify(whole.data)) : () => encoded.checksum
    if (whole.checksum === undefined || whole.checksum === given()) return encoded
    throw new EvtError('checksum', 'cannot publish: the checksum is not of this data', {
      hint: 'SHA-256, lower-case hex, over the JSON of data as it is sent; or leave it out',
    })
  }

  /** With all digits of the numbers that are not sealed, and of those that are. */
  function sealExactly({ dataText: _, checksum: __, ...plain }: EncodedEvent, dataText: string): EncodedEvent {
    const contract = registry.get(plain.type, plain.version)
    if (!contract) throw new EvtError('internal', `cannot publish ${plain.type}: its contract went away`)
    const sealed = protectEvent({ ...plain, data: parseExactly(dataText) }, contract, registry.guard?.keyring)
    return encodeWithText(sealed, formatJson(sealed.data))
  }

  /** Those whose keys are there. One that can have none does not take the others along. */
  async function withKeys(checked: readonly Checked[], outcomes: Outcome[]): Promise<readonly Checked[]> {
    const load = (some: readonly Checked[]) =>
      registry.guard?.load(
        some.map(({ whole }) => whole),
        registry.get,
      )
    try {
      await load(checked)
      return checked
    } catch (error) {
      if (isOutage(error) || isRefusal(error) || isOfServer(error)) throw error
    }
    const able: Checked[] = []
    for (const one of checked) {
      try {
        await load([one])
        able.push(one)
      } catch (error) {
        if (!(error instanceof EvtError) || isOutage(error) || isRefusal(error) || isOfServer(error)) throw error
        outcomes[one.at] = refused(one.whole.id, error)
      }
    }
    return able
  }

  /** Bad bytes that only the database notices must not take the others along. */
  async function write(ready: readonly Ready[], isKeyed: boolean, outcomes: Outcome[]): Promise<void> {
    if (ready.length === 0) return
    try {
      await publishEncoded(
        store,
        ready.map(({ event }) => event),
        { keyed: isKeyed },
      )
    } catch (error) {
      if (isOutage(error) || isRefusal(error) || isOfServer(error)) throw error
      const half = ready.length >> 1
      const [only] = ready
      if (half === 0 && only) {
        outcomes[only.at] = refused(
          only.event.id,
          new EvtError('contract', 'cannot publish: the database refuses a field of it'),
        )
        return
      }
      await write(ready.slice(0, half), isKeyed, outcomes)
      await write(ready.slice(half), isKeyed, outcomes)
    }
  }

  return async (given, mayPublish) => {
    const outcomes: Outcome[] = new Array(given.length)
    const ready: Ready[] = []
    const own: string[] = []
    const attempt = <T>(at: number, work: () => T): T | undefined => {
      try {
        return work()
      } catch (error) {
        if (!(error instanceof EvtError)) throw error
        const one = given[at] as Candidate
        outcomes[at] = refused('event' in one ? one.event.id : one.id, error)
        return undefined
      }
    }
    const checked = given.flatMap((one, at) => attempt(at, () => [{ at, ...check(one, mayPublish) }]) ?? [])
    for (const one of await withKeys(checked, outcomes)) {
      const event = attempt(one.at, () => encode(one))
      if (!event) continue
      const asked = given[one.at] as Candidate
      if ('event' in asked && asked.event.id !== undefined) own.push(event.id)
      ready.push({ at: one.at, event })
      outcomes[one.at] = { id: event.id, outcome: 'stored' }
    }
    const known = new Map(await findKnownIds(store, own))
    const wanted = own.length === 0 ? ready : ready.filter((one) => isWanted(one, known, outcomes))
    await write(wanted, own.length > 0, outcomes)
    return outcomes
  }
}

/**
 * What is there already is not written again; other bytes are, so that the store keeps and counts them. Not before what is held until its
 * time: they would be the first then.
 */
function isWanted({ at, event }: Ready, known: Map<string, KnownId>, outcomes: Outcome[]): boolean {
  const { id, checksum } = event
  const before = known.get(id)
  if (before === undefined) {
    known.set(id, { checksum, isHeld: event.deliverAt !== undefined })
    return true
  }
  const isSame = before.checksum === checksum
  outcomes[at] = isSame ? { id, outcome: 'duplicate' } : refused(id, conflict)
  return !isSame && !before.isHeld
}

const conflict = new EvtError('conflict', 'cannot publish: an event of this id is there, with other data', {
  hint: 'give a new event a new id',
})

const isOfServer = (error: unknown) =>
  error instanceof EvtError && ['timeout', 'closed', 'migrations', 'unsupported', 'interrupted'].includes(error.code)

/** Who is told `refused` was denied access. A draft is nobody's denial. */
const ofToken = 'the types of the token'

const refused = (id: string | undefined, { code, message, hint, cause }: EvtError): Refused => ({
  ...(id === undefined ? {} : { id }),
  outcome: 'refused',
  code: code === 'refused' && cause !== ofToken ? 'contract' : code,
  reason: message,
  ...(hint === undefined ? {} : { hint }),
})
