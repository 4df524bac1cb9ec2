import { EvtError, toError } from '../../core/errors.ts'
import type { BuriedMessage } from '../../transports/transport.ts'
import { type Buried, exists } from './buried.ts'
import type { Row } from './rows.ts'

type Origins = ReadonlyMap<string, BuriedMessage['origin']>

/** What is replayed, and where to. */
export interface Sent {
  readonly rows: readonly Row[]
  readonly origins: Origins
  readonly to?: string | undefined
}

/** The topics that these go to. */
export const targetsOf = ({ rows, origins, to }: Sent): readonly string[] =>
  [...new Set(rows.map(({ id }) => to ?? origins.get(id)?.topic ?? ''))].filter(Boolean)

/** It goes where it never was: whoever reads there is meant, not only the group that had given it up. */
export const goesElsewhere = ({ id }: Row, { origins, to }: Sent): boolean =>
  to !== undefined && to !== origins.get(id)?.topic

/** Where they may come to lie again: where they lay, and the dead letters of the topics that they go to. */
const graveTopicsOf = ({ letters, topic }: Buried, sent: Sent): readonly string[] => [
  ...new Set([topic, ...targetsOf(sent).map(letters.nameOf)]),
]

const graveOf = (topic: string, id: string) => `${topic}\n${id}`

/** The graves that events of `rows` have now, over all topics in which they may come to lie again. */
export async function gravesOf(buried: Buried, sent: Sent): Promise<ReadonlySet<string>> {
  const events = new Set(sent.rows.map(({ eventId }) => eventId))
  const graves = new Set<string>()
  for (const topic of graveTopicsOf(buried, sent))
    await readLetters(buried, topic, buried.signal, ({ id, message }) => {
      if (events.has(message.id)) graves.add(graveOf(topic, id))
    })
  return graves
}

export interface Recount extends Sent {
  /** What `gravesOf` found before they were replayed. */
  readonly before: ReadonlySet<string>
  readonly withinMs: number
}

export interface Returned {
  /** Of the replayed, those with a new letter of the group that had given them up; elsewhere, of any group. */
  readonly count: number
  /** Why not all letters were read: there may be more. */
  readonly unread?: string
}

export async function countReturned(buried: Buried, recount: Recount): Promise<Returned> {
  const { rows, origins, before } = recount
  const signal = AbortSignal.timeout(recount.withinMs)
  const events = new Set(rows.map(({ eventId }) => eventId))
  // Where graves are numbered, another one may lie under the id of one that has gone.
  const gone = new Set(rows.map(({ id }) => graveOf(buried.topic, id)))
  const groups = new Map<string, Set<string | undefined>>()
  let unread: string | undefined
  for (const topic of graveTopicsOf(buried, recount)) {
    unread ??= await readLetters(buried, topic, signal, ({ id, message, origin }) => {
      const grave = graveOf(topic, id)
      if (!events.has(message.id) || (before.has(grave) && !gone.has(grave))) return
      groups.set(message.id, (groups.get(message.id) ?? new Set()).add(origin.group))
    })
  }
  const isBack = (row: Row) => {
    const back = groups.get(row.eventId)
    const group = origins.get(row.id)?.group
    // A foreign grave may name no group: then it may be the one.
    return (
      back !== undefined &&
      (group === undefined || goesElsewhere(row, recount) || back.has(group) || back.has(undefined))
    )
  }
  const count = rows.filter(isBack).length
  return unread === undefined ? { count } : { count, unread }
}

/** Tells what was not read, and why. Throws what is wrong with the topic that was named. */
async function readLetters(
  { letters, transport, topic: named }: Buried,
  topic: string,
  signal: AbortSignal,
  onLetter: (letter: BuriedMessage) => void,
): Promise<string | undefined> {
  try {
    for await (const batch of letters.list(topic, signal)) for (const letter of batch) onLetter(letter)
  } catch (error) {
    // An aborted listing ends, or says so.
    if (!signal.aborted && topic === named) throw error
    if (!signal.aborted && !(error instanceof EvtError)) throw error
    // Where nothing has died yet there may be no such topic.
    if (!signal.aborted)
      return (await exists(transport, topic)) ? `${topic} could not be read: ${toError(error).message}` : undefined
  }
  return signal.aborted ? `the dead letters in ${topic} could not be read to the end in time` : undefined
}
