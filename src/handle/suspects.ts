import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { AttemptRecord } from '../store/attempts.ts'
import { countSuspect, discountSuspect, readSuspect, type StartedAttempt, shareSuspect } from '../store/suspects.ts'
import { apart } from './apart.ts'
import type { Interruptible } from './attempt.ts'
import type { HandlerConfig } from './handler-config.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item } from './item.ts'
import { loadKeys } from './load-keys.ts'
import { planEntries } from './plan.ts'
import { progressOf } from './progress.ts'
import { lockWaitMs } from './run-chunk.ts'
import { noteFailure, workOff, workOffEntries } from './work-off.ts'

/** Of what one dead owner may have started: nearly all of it is innocent, so that many run as usual, until an owner dies again. */
const mostTogether = 8

/** An event has so few attempts that none may be left uncounted. */
const hasFew = ({ attempts }: Pick<HandlerConfig, 'attempts'>) => attempts < 3

export const suspectsTogether = (config: Pick<HandlerConfig, 'attempts'>) => (hasFew(config) ? 1 : mostTogether)

export const comesAlone = (config: Pick<HandlerConfig, 'attempts'>, { message }: Pick<Item, 'message'>) =>
  message.deliveries > (hasFew(config) ? 1 : 2)

/**
 * An event that earlier owners may have died of: alone in this process, and counted before it runs. So a handler that
 * ends the process ends it a bounded number of times, and takes no other suspect along.
 */
export async function workOffSuspect(runtime: HandlerRuntime, item: Item, place: Interruptible): Promise<void> {
  const loading = loadKeys(runtime, [item])
  if (loading && !(await loading)) return
  const [planned] = planEntries(runtime, [item])
  if (planned?.kind !== 'run') return workOff(runtime, [item], place)
  let mine: StartedAttempt | undefined
  let isBeside = false
  const share = async () => {
    isBeside = true
    if (mine && !mine.shared) await shareSuspect(runtime.store, eventOf(runtime, item), mine)
  }
  await apart.alone({
    async run(isShared) {
      isBeside = isShared
      // Its lane rested before the attempt that was counted: that one is still to be made.
      const counted = item.suspect ? undefined : await count(runtime, item, () => isBeside)
      if (!item.suspect && counted === undefined) return
      if (counted) {
        mine = counted.mine
        if (isBeside) await share()
        item.suspect = true
        // What is only presumed takes no attempt from a handler that answers.
        item.attempt = counted.alone.length + 1
        item.errors = counted.alone
      }
      const entry: Entry = counted?.spent ? spent(runtime, item, counted.earlier) : planned
      const again = await workOffEntries(runtime, [entry], place)
      if (again.length > 0) await workOff(runtime, again, place)
      // Nothing has ended: a session ran out, a connection was cut, or the process stops in order.
      if (mine && (item.owned.lane.lost.aborted || runtime.forced.aborted)) await discount(runtime, item, mine)
    },
    share,
  })
}

/** What shared the process with others may have been ended by any of them: so many more of these are bearable. */
const mostShared = 3

const eventOf = ({ config }: HandlerRuntime, { message }: Item) => ({ handler: config.name, eventId: message.id })

interface Counted {
  /** Undefined when there is no further one. */
  readonly mine: StartedAttempt | undefined
  readonly earlier: readonly AttemptRecord[]
  /** Of the earlier ones, those that nobody else can have ended. */
  readonly alone: readonly AttemptRecord[]
  readonly spent: boolean
}

/** In a transaction of its own, committed before the attempt. Undefined when the lane is no longer ours. */
async function count(runtime: HandlerRuntime, item: Item, isShared: () => boolean): Promise<Counted | undefined> {
  const { config, instance } = runtime
  const event = eventOf(runtime, item)
  while (!runtime.forced.aborted && !item.owned.closed && !item.owned.lane.lost.aborted) {
    try {
      return await runtime.store.transaction(async (sql) => {
        // The count has to outlive this process, not the server.
        await sql.query(`set local synchronous_commit = off; set local lock_timeout = ${lockWaitMs}`)
        await runtime.transport.settleIn?.(
          sql,
          progressOf([{ kind: 'behind', item }]).map(({ lane }) => ({ lane, done: [] })),
        )
        const known = await readSuspect(sql, event)
        const ended = (known[0]?.attempt ?? (hasFew(config) ? 2 : 3)) - 1
        const earlier = endedRecords(known, ended, instance)
        const alone = earlier.slice(ended).filter((_, n) => !known[n]?.shared)
        const isSpent = ended + alone.length >= config.attempts || ended + known.length >= config.attempts * mostShared
        const spent = known.length > 0 && isSpent
        const mine = spent ? undefined : await countSuspect(sql, event, { instance, ended, shared: isShared() })
        return { mine, earlier, alone, spent }
      })
    } catch (error) {
      runtime.log.warn('cannot count an attempt; trying again', {
        handler: config.name,
        event: event.eventId,
        error: String(error),
      })
      await runtime.storeIsBack()
    }
  }
  return undefined
}

/** What the attempt came to has removed the count already, if it came to anything. */
async function discount(runtime: HandlerRuntime, item: Item, mine: StartedAttempt): Promise<void> {
  const event = eventOf(runtime, item)
  const discounting = runtime.store.transaction((sql) => discountSuspect(sql, event, mine))
  await Promise.race([discounting, delay(forcedWaitMs, undefined, { ref: false })]).catch((error: unknown) =>
    runtime.log.warn('an attempt that lost its lane stays counted', { ...event, error: toError(error).message }),
  )
}

/** A stop does not wait longer for a store that is away. */
const forcedWaitMs = 1_000

/** Those before the first counted one are presumed: their owners had taken the event and ended. */
function endedRecords(started: readonly StartedAttempt[], ended: number, instance: string): AttemptRecord[] {
  const at = started[0]?.at ?? new Date().toISOString()
  const presumed = Array.from({ length: ended }, (_, n) => ({ attempt: n + 1, at, instance: 'unknown' }))
  return [...presumed, ...started].map((one) => ({
    attempt: one.attempt,
    at: new Date(one.at).toISOString(),
    durationMs: 0,
    class: 'ProcessEnded',
    message:
      one.attempt <= ended ? 'the process that had taken the event ended' : 'the process ended while the handler ran',
    instance: one.instance || instance,
  }))
}

function spent(runtime: HandlerRuntime, item: Item, earlier: readonly AttemptRecord[]): Entry {
  const record = earlier.at(-1) as AttemptRecord
  item.errors = earlier.slice(0, -1)
  const failed = { kind: 'failed', item, failure: { record, hopeless: 'process-ended' } } as const
  noteFailure(runtime, failed)
  return failed
}
