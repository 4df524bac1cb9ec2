import { toError } from '../core/errors.ts'
import type { AttemptRecord } from '../store/attempts.ts'
import { countSuspect, discountSuspect, readSuspect, type StartedAttempt } from '../store/suspects.ts'
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
  await apart.alone(async () => {
    // Its lane rested before the attempt that was counted: that one is still to be made.
    const counted = item.suspect ? undefined : await count(runtime, item)
    if (!item.suspect && counted === undefined) return
    if (counted) {
      item.suspect = true
      item.attempt = counted.attempt
      item.errors = counted.earlier
    }
    const entry: Entry = counted?.spent ? spent(runtime, item, counted.earlier) : planned
    const again = await workOffEntries(runtime, [entry], place)
    if (again.length > 0) await workOff(runtime, again, place)
    // A lane that was lost while this process lives: a session that ran out, a connection that was cut.
    if (counted && item.owned.lane.lost.aborted && !runtime.forced.aborted) await discount(runtime, item)
  })
}

interface Counted {
  readonly attempt: number
  readonly earlier: readonly AttemptRecord[]
  readonly spent: boolean
}

/** In a transaction of its own, committed before the attempt. Undefined when the lane is no longer ours. */
async function count(runtime: HandlerRuntime, item: Item): Promise<Counted | undefined> {
  const { config, instance } = runtime
  const eventId = item.message.id
  while (!runtime.forced.aborted && !item.owned.closed && !item.owned.lane.lost.aborted) {
    try {
      return await runtime.store.transaction(async (sql) => {
        // The count has to outlive this process, not the server.
        await sql.query(`set local synchronous_commit = off; set local lock_timeout = ${lockWaitMs}`)
        await runtime.transport.settleIn?.(
          sql,
          progressOf([{ kind: 'behind', item }]).map(({ lane }) => ({ lane, done: [] })),
        )
        const known = await readSuspect(sql, config.name, eventId)
        const last = known.at(-1)
        const ended = (known[0]?.attempt ?? (hasFew(config) ? 2 : 3)) - 1
        if (last && last.attempt >= config.attempts)
          return { attempt: last.attempt, earlier: endedRecords(known, ended, instance), spent: true }
        const started = await countSuspect(sql, { handler: config.name, eventId, instance, ended })
        const earlier = endedRecords(started.slice(0, -1), ended, instance)
        return { attempt: started.at(-1)?.attempt ?? ended + 1, earlier, spent: false }
      })
    } catch (error) {
      runtime.log.warn('cannot count an attempt; trying again', {
        handler: config.name,
        event: eventId,
        error: String(error),
      })
      await runtime.storeIsBack()
    }
  }
  return undefined
}

/** What the attempt came to has removed the count already, if it came to anything. */
async function discount(runtime: HandlerRuntime, { message, attempt }: Item): Promise<void> {
  const event = { handler: runtime.config.name, eventId: message.id, instance: runtime.instance, attempt }
  await runtime.store
    .transaction((sql) => discountSuspect(sql, event))
    .catch((error: unknown) =>
      runtime.log.warn('an attempt that lost its lane stays counted', { ...event, error: toError(error).message }),
    )
}

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
