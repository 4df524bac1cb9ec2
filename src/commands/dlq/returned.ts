import type { BuriedMessage } from '../../transports/transport.ts'
import type { Buried } from './buried.ts'
import type { Row } from './rows.ts'

/** The letters that events of `rows` have now, by the ids of their graves. */
export async function gravesOf({ letters, topic, signal }: Buried, rows: readonly Row[]): Promise<ReadonlySet<string>> {
  const events = new Set(rows.map(({ eventId }) => eventId))
  const graves = new Set<string>()
  for await (const batch of letters.list(topic, signal))
    for (const { id, message } of batch) if (events.has(message.id)) graves.add(id)
  return graves
}

export interface Recount {
  readonly replayed: readonly Row[]
  readonly origins: ReadonlyMap<string, BuriedMessage['origin']>
  /** What `gravesOf` found before they were replayed. */
  readonly before: ReadonlySet<string>
  readonly withinMs: number
}

export interface Returned {
  /** Of the replayed, those with a new letter of the group that had given them up. */
  readonly count: number
  /** False when not all letters were read in time: there may be more. */
  readonly isWhole: boolean
}

export async function countReturned({ letters, topic }: Buried, recount: Recount): Promise<Returned> {
  const { replayed, origins, before } = recount
  const signal = AbortSignal.timeout(recount.withinMs)
  const events = new Set(replayed.map(({ eventId }) => eventId))
  // Where graves are numbered, another one may lie under the id of one that has gone.
  const gone = new Set(replayed.map(({ id }) => id))
  const groups = new Map<string, Set<string | undefined>>()
  try {
    for await (const batch of letters.list(topic, signal)) {
      for (const { id, message, origin } of batch) {
        if (!events.has(message.id) || (before.has(id) && !gone.has(id))) continue
        groups.set(message.id, (groups.get(message.id) ?? new Set()).add(origin.group))
      }
    }
  } catch (error) {
    // An aborted listing ends, or says so.
    if (!signal.aborted) throw error
  }
  const isBack = ({ id, eventId }: Row) => {
    const back = groups.get(eventId)
    const group = origins.get(id)?.group
    // A foreign grave may name no group: then it may be the one.
    return back !== undefined && (group === undefined || back.has(group) || back.has(undefined))
  }
  return { count: replayed.filter(isBack).length, isWhole: !signal.aborted }
}
