import type { EvtEvent, HandlerDefinition } from '../../../src/index.ts'
import { requests } from '../../../src/services/requests/service.ts'
import { openServiceDatabase } from '../commerce/service-database.ts'

/** As `openServiceDatabase`, with a log: an event has its place in it from the first time that it is handled. */
export async function openRequestsDatabase() {
  const places = new Map<string, bigint>()
  const placeOf = ({ id }: EvtEvent): bigint => {
    const place = places.get(id) ?? BigInt(places.size + 1)
    places.set(id, place)
    return place
  }
  const handlers = (requests.handlers as readonly HandlerDefinition[]).map((handler) => ({
    ...handler,
    handle: (event: EvtEvent, ctx: Parameters<HandlerDefinition['handle']>[1]) =>
      handler.handle(event, { ...ctx, position: placeOf(event) }),
  }))
  return openServiceDatabase([{ ...requests, handlers }])
}
