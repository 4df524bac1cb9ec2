import { type EncodedEvent, encodeWithText } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import type { Registry } from '../core/registry.ts'
import { prepareEvent } from '../publish/publisher.ts'
import type { Store } from '../store/connection.ts'
import { isOutage, isRefusal } from '../store/errors.ts'
import { findKnownIds } from '../store/event-keys.ts'
import { publishEncoded } from '../store/outbox.ts'
import type { Candidate, EventPorts, Outcome } from './ports.ts'

export interface IngestOptions {
  readonly store: Store
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** What `source` says when an event does not. */
  readonly source: string
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
  function prepare(given: Candidate, mayPublish: (type: string) => boolean): EncodedEvent {
    if ('error' in given) throw given.error
    const { event, dataText } = given
    if (!mayPublish(event.type))
      throw new EvtError('refused', 'cannot publish: this token is not for events of this type', {
        hint: 'a token has its types from evt token create --types',
        cause: ofToken,
      })
    const prepared = prepareEvent(event, { registry, source })
    // What was changed on the way (encrypted) is no longer the text that came.
    const isAsGiven = dataText !== undefined && dataText !== prepared.dataText && prepared.data === event.data
    const encoded = isAsGiven ? encodeWithText(prepared, dataText) : prepared
    if (event.checksum === undefined || event.checksum === encoded.checksum) return encoded
    throw new EvtError('checksum', 'cannot publish: the checksum is not of this data', {
      hint: 'SHA-256, lower-case hex, over the JSON of data as it is sent; or leave it out',
    })
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
    const events = given.flatMap((one) => ('event' in one ? [one.event] : []))
    await registry.guard?.load(events, registry.get)
    for (const [at, one] of given.entries()) {
      try {
        const event = prepare(one, mayPublish)
        if ('event' in one && one.event.id !== undefined) own.push(event.id)
        ready.push({ at, event })
        outcomes[at] = { id: event.id, outcome: 'stored' }
      } catch (error) {
        if (!(error instanceof EvtError)) throw error
        outcomes[at] = refused('event' in one ? one.event.id : one.id, error)
      }
    }
    const known = new Map(await findKnownIds(store, own))
    const wanted = own.length === 0 ? ready : ready.filter((one) => isWanted(one, known, outcomes))
    await write(wanted, own.length > 0, outcomes)
    return outcomes
  }
}

/** What is there already is not written again; other bytes are, so that the store keeps and counts them. */
function isWanted({ at, event }: Ready, known: Map<string, string | null>, outcomes: Outcome[]): boolean {
  const { id, checksum } = event
  const before = known.get(id)
  if (before === undefined) {
    known.set(id, checksum)
    return true
  }
  outcomes[at] = before === checksum ? { id, outcome: 'duplicate' } : refused(id, conflict)
  return before !== checksum
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
