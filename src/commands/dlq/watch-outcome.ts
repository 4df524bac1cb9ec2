import { setTimeout as delay } from 'node:timers/promises'
import { formatDuration } from '../../core/duration.ts'
import type { BuriedMessage, GroupState } from '../../transports/transport.ts'
import type { Buried } from './buried.ts'
import { countReturned, goesElsewhere, type Returned, targetsOf } from './returned.ts'
import type { Row } from './rows.ts'

export interface Watched {
  readonly replayed: readonly Row[]
  readonly origins: ReadonlyMap<string, BuriedMessage['origin']>
  /** The graves of their events before they were replayed. */
  readonly before: ReadonlySet<string>
  readonly to?: string | undefined
  /** Milliseconds. */
  readonly settle: number
  readonly signal: AbortSignal
  /** How long the dead letters may take to be read once more; default 30,000. */
  readonly recountMs?: number
}

export interface Outcome {
  /** Every group that had failed on it has settled all there is, and it did not come back. */
  readonly settled: number
  readonly deadAgain: number
  readonly groups: readonly string[]
  /** Why some are in neither count. */
  readonly why: string
}

const pollMs = 250
const none: Returned = { count: 0 }

/**
 * What became of replayed messages, from the groups' positions and the dead letters, never from having published them. A group buries
 * before it settles: so when nothing lags, what is not among the dead letters was handled.
 */
export async function watchOutcome(buried: Buried, watched: Watched): Promise<Outcome> {
  const { replayed, origins, before, to, settle, signal, recountMs: withinMs = 30_000 } = watched
  const sent = { rows: replayed, origins, to }
  const topics = targetsOf(sent)
  const known = new Set(replayed.map(({ id }) => origins.get(id)?.group).filter((group) => group !== undefined))
  const areElsewhere = replayed.some((row) => goesElsewhere(row, sent))
  const isMeant = ({ group }: GroupState) => known.size === 0 || areElsewhere || known.has(group)
  const endMs = performance.now() + settle
  for (;;) {
    const { groups } = replayed.length > 0 ? await buried.transport.inspect(topics) : { groups: [] }
    const meant = groups.filter(isMeant)
    const names = [...new Set(meant.map(({ group }) => group))]
    const idle = meant.length > 0 && meant.every(({ lagMessages, lagIsLeast }) => lagMessages === 0 && !lagIsLeast)
    const over = performance.now() >= endMs || signal.aborted
    if (idle || over || replayed.length === 0) {
      const recount = { ...sent, before, withinMs }
      const { count: deadAgain, unread } = replayed.length > 0 ? await countReturned(buried, recount) : none
      const settled = idle && unread === undefined ? replayed.length - deadAgain : 0
      const isHidden = meant.some(({ lagMessages, lagIsLeast }) => lagMessages === 0 && lagIsLeast === true)
      const why = reasonOf({
        into: buried.letters.replaysInto,
        groups: names,
        settleMs: settle,
        signal,
        isHidden,
        unread,
      })
      return { settled, deadAgain, groups: names, why }
    }
    await delay(pollMs, undefined, { signal }).catch(() => {})
  }
}

interface Reason {
  readonly into: string | undefined
  readonly groups: readonly string[]
  readonly settleMs: number
  readonly signal: AbortSignal
  /** Nothing waits, and what members hold cannot be seen. */
  readonly isHidden: boolean
  /** What of the dead letters was not read, and why. */
  readonly unread: string | undefined
}

function reasonOf({ into, groups, settleMs, signal, isHidden, unread }: Reason): string {
  if (signal.aborted) return 'interrupted'
  if (unread !== undefined) return unread
  if (groups.length === 0 && into)
    return `they were handed to ${into}, whose handlers may read a sink: not seen from here`
  if (groups.length === 0) return 'no group reads the topic, so nobody says what became of them'
  if (isHidden) return `${groups.join(', ')} took them, and the server does not tell whether they were settled`
  return `${groups.join(', ')} still lagged after ${formatDuration(settleMs)}`
}
