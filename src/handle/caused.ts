import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import { originNames, originOf } from '../core/origin.ts'
import type { HandlerSql } from './handler.ts'

/** Longer than any intended chain of events that handlers cause by one another. */
const mostCaused = 32

/** A handler publishes what triggers it, by itself or by way of others. No retry can mend it. */
export class HopLimit extends EvtError {
  constructor(type: string, { id }: EvtEvent) {
    super(
      'refused',
      `cannot publish ${type}: hop limit: ${id} is the ${mostCaused}nd event in a row that a handler caused`,
      {
        hint: 'look for a handler that publishes what triggers it, by itself or by way of others',
      },
    )
    this.name = 'HopLimit'
  }
}

/**
 * What a handler publishes is caused by what it handles, and one hop further than that; several events only count the hops. Throws HopLimit.
 */
export function caused(given: NewEvent, events: readonly EvtEvent[]): NewEvent {
  const [first] = events
  if (!first) return given
  let [furthest, hops] = [first, 0]
  for (const event of events) {
    const own = originOf(event.metadata).hops
    if (own > hops) [furthest, hops] = [event, own]
  }
  if (hops >= mostCaused) throw new HopLimit(given.type, furthest)
  const metadata = { ...given.metadata, [originNames.hops]: String(hops + 1) }
  if (events.length > 1) return { ...given, metadata }
  return {
    causationId: first.id,
    correlationId: first.correlationId ?? first.id,
    ...(first.traceparent === undefined ? {} : { traceparent: first.traceparent }),
    ...(first.tenant === undefined ? {} : { tenant: first.tenant }),
    ...given,
    metadata,
  }
}

/** The same for two copies of evt in one process: a program's, and the one that runs its services. */
const cause = Symbol.for('evt.cause')

type Cause = (given: NewEvent) => NewEvent

/** Whoever writes an event with this `sql` learns from `causedIn` what caused it. */
export function withCause(sql: HandlerSql & { [cause]?: Cause }, own: Cause): HandlerSql {
  sql[cause] = own
  return sql
}

/** As what `ctx.publish` would publish, where `sql` is a handler's; elsewhere as it was given. Throws HopLimit. */
export function causedIn(sql: object, given: NewEvent): NewEvent {
  const own = (sql as { readonly [cause]?: Cause })[cause]
  return own ? own(given) : given
}
