import type { Session } from '../store/sessions.ts'
import { type AttemptResult, type Interruptible, runAttempt } from './attempt.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item, RunTimes } from './item.ts'
import { queueOf } from './plan.ts'

/** One attempt that succeeded. */
export interface Run {
  readonly item: Item
  readonly times: RunTimes
}

/** An attempt that did not. */
export interface Unsuccessful {
  readonly entry: Extract<Entry, { kind: 'run' }>
  readonly at: number
  readonly result: Extract<AttemptResult, { ok: false }>
  /** Others were under way: it may be their failure. */
  readonly among: boolean
}

export interface EntriesRun {
  readonly runs: readonly Run[]
  /** Recognised by the inbox. */
  readonly skipped: ReadonlySet<Item>
  readonly unsuccessful?: Unsuccessful | undefined
  /** The store was gone before this one could run. */
  readonly lost?: { readonly thrown: unknown; readonly at: number } | undefined
}

export interface EntriesToRun {
  readonly entries: readonly Entry[]
  /** Ids that the inbox did not know. */
  readonly fresh: Set<string>
  readonly session: Session
  readonly place: Interruptible
  /** At most so many at the same time. */
  readonly width: number
}

/**
 * The handlers of one transaction, started in their order; those of one queue one after the other. Nothing is started after an
 * attempt that did not succeed, and what was under way then has ended when this resolves. Never rejects.
 */
export async function runEntries(runtime: HandlerRuntime, given: EntriesToRun): Promise<EntriesRun> {
  const { entries, fresh, session, place, width } = given
  const runs: Run[] = []
  const skipped = new Set<Item>()
  const tails = new Map<string, Promise<void>>()
  let next = 0
  let under = 0
  let unsuccessful: Unsuccessful | undefined
  let lost: EntriesRun['lost']

  async function attempt(entry: Extract<Entry, { kind: 'run' }>, at: number): Promise<void> {
    if (unsuccessful || lost) return
    under += 1
    try {
      await session.keepAlive()
      const result = await runAttempt(runtime, entry.item, { event: entry.event, session, place, abreast: width > 1 })
      if (result.ok) runs.push({ item: entry.item, times: result })
      else unsuccessful ??= { entry, at, result, among: under > 1 }
    } catch (thrown) {
      lost ??= { thrown, at }
    }
    under -= 1
  }

  /** In a queue its turn comes when those before it have ended. */
  function inTurn(entry: Extract<Entry, { kind: 'run' }>, at: number): Promise<void> {
    const queue = width > 1 ? queueOf(runtime, entry.item) : null
    if (queue === null) return attempt(entry, at)
    const before = tails.get(queue)
    const own = before ? before.then(() => attempt(entry, at)) : attempt(entry, at)
    tails.set(queue, own)
    return own
  }

  async function line(): Promise<void> {
    while (next < entries.length && !unsuccessful && !lost) {
      const at = next++
      const entry = entries[at] as Entry
      if (entry.kind !== 'run') continue
      // Twice the same event in one transaction: the second one is a duplicate too.
      if (fresh.delete(entry.item.message.id)) await inTurn(entry, at)
      else skipped.add(entry.item)
    }
  }

  await Promise.all(Array.from({ length: Math.min(width, entries.length) }, line))
  return { runs, skipped, unsuccessful, lost }
}
