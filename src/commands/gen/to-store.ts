import type { EncodedEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { Audit } from '../../store/audit.ts'
import type { Store } from '../../store/connection.ts'
import { refuseWhenReadonly } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { isOwnMachine, withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { askToPublish, type PublishInput } from './ask.ts'
import { findKnown, noneKnown } from './known.ts'
import { type Destination, publishTo } from './publish.ts'
import { createSeal, type Seal } from './seal.ts'
import type { EventSource } from './source.ts'

/** Into the store, in transactions of their own. */
export async function publishToStore(
  runtime: Runtime,
  source: EventSource,
  input: PublishInput & { readonly url?: string },
): Promise<Outcome | undefined> {
  const { url } = input
  const changes = !input.options.yes
  return withStore(runtime, { command: 'gen', max: 2, changes, ...(url ? { url } : {}) }, async (store, place) => {
    refuseWhenReadonly(runtime, `publish to ${store.url}`)
    const own = isOwnMachine(place.url) && !runtime.config.profile?.protect
    await askToPublish(runtime, source, { target: store.url, own, ...input })
    const { reason } = input.options
    const audit = own ? undefined : await auditAs('gen', { target: 'outbox', reason })
    return publishTo(
      runtime,
      source,
      storeDestination(store, { audit, keyed: source.keyed, seal: await createSeal(runtime, store) }),
    )
  })
}

interface Ways {
  readonly audit: Audit | undefined
  /** Ids came from outside: the log may know them. */
  readonly keyed: boolean
  readonly seal: Seal
}

/** One transaction a batch. A connection that is lost while it commits takes the answer with it. */
function storeDestination(store: Store, { audit, keyed, seal }: Ways): Destination {
  return {
    seal,
    shown: { store: redactUrl(store.url) },
    async publish(encoded, written) {
      const { publishEncoded } = await import('../../store/outbox.ts')
      try {
        const known = await store.transaction(async (sql) => {
          const found = keyed ? await findKnown(sql, encoded) : undefined
          await publishEncoded(sql, encoded, { keyed })
          await audit?.(sql, encoded.length)
          return found ?? noneKnown
        })
        const added = encoded.length - known.duplicates - known.conflicts.length
        written.accepted += added
        written.confirmed += added
        written.duplicates += known.duplicates
        written.conflicts += known.conflicts.length
        return known.conflicts[0] && conflictOf(known.conflicts[0])
      } catch (error) {
        if (error instanceof EvtError && error.code === 'connect') written.unknown += encoded.length
        throw error
      }
    },
  }
}

const conflictOf = ({ type, id }: EncodedEvent) =>
  new EvtError('partial', `cannot publish ${type} ${id}: another event with this id and other data came first`, {
    hint: 'give it an id of its own; what was refused is kept in evt.refused once a bridge has seen it',
  })
