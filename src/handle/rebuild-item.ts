import { EvtError } from '../core/errors.ts'
import type { StoredDelivery } from '../store/deliveries.ts'
import type { LoggedMessage } from '../store/logged-messages.ts'
import type { Received } from '../transports/transport.ts'
import type { Item, OwnedLane } from './item.ts'
import { wallMs } from './wall-clock.ts'

/** Events of the log; those that retention has removed are missing. */
export type ReadLogged = (positions: readonly bigint[]) => Promise<ReadonlyMap<bigint, LoggedMessage>>

/** Deliveries of the store as items, their messages from their copies or from the log. */
export async function rebuildItems(
  deliveries: readonly StoredDelivery[],
  { owned, readLogged }: { readonly owned: OwnedLane; readonly readLogged: ReadLogged },
): Promise<Item[]> {
  const positions = deliveries.flatMap(({ copy, position }) => (copy || position === undefined ? [] : [position]))
  const logged = positions.length === 0 ? new Map<bigint, LoggedMessage>() : await readLogged(positions)
  return deliveries.map((stored) => rebuild(stored, owned, messageOf(stored, logged)))
}

function rebuild(stored: StoredDelivery, owned: OwnedLane, message: Received | undefined): Item {
  const attempt = stored.attempts
  const item: Item = {
    owned,
    message: message ?? {
      id: stored.eventId,
      key: stored.subject,
      headers: {},
      body: new Uint8Array(),
      topic: stored.topic,
      at: stored.at,
      deliveries: 1,
    },
    takenMs: wallMs(),
    stored,
    attempt,
    errors: stored.errors,
    suspect: false,
    spoiled: 0,
  }
  if (!message) {
    const reason = `cannot read event ${stored.eventId}: the log has no position ${stored.position} any more`
    item.prepared = { kind: 'bad', thrown: new EvtError('decode', reason) }
  }
  return item
}

function messageOf(stored: StoredDelivery, logged: ReadonlyMap<bigint, LoggedMessage>): Received | undefined {
  const place = { topic: stored.topic, at: stored.at, deliveries: 1 }
  if (stored.copy) {
    const { headers, body } = stored.copy
    return {
      id: stored.eventId,
      key: stored.subject,
      headers,
      body,
      ...place,
      ...(stored.position === undefined ? {} : { log: stored.position }),
    }
  }
  const found = stored.position === undefined ? undefined : logged.get(stored.position)
  return found && { ...found, ...place }
}
