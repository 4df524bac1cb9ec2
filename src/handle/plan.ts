import { fitting } from '../core/limits.ts'
import type { AttemptRecord } from '../store/attempts.ts'
import { classify } from './classify.ts'
import { factsOf, reasonOf } from './failure.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Failure, Item } from './item.ts'

/** The queue that an item of this handler stands in; a name that the store's indexes hold, however long the subject is. */
export function queueOf(runtime: HandlerRuntime, item: Item): string | null {
  if (item.stored) return item.stored.subject
  const { key } = item.message
  return runtime.config.ordered && key !== null ? fitting(key) : null
}

/** What counts as one for the handler's breaker. */
export const breakerKeyOf = ({ message }: Item): string => message.key ?? message.id

/**
 * What is to become of each item, in their order: run it; put it behind, because its subject is parked or an item
 * before it parks it; hold it for a contract; or give it up unrun, because it cannot be read.
 */
export function planEntries(runtime: HandlerRuntime, items: readonly Item[]): Entry[] {
  const parking = new Set<string>()
  return items.map((item) => {
    const queue = queueOf(runtime, item)
    if (queue !== null && !item.stored && (item.owned.parked.has(queue) || parking.has(queue)))
      return { kind: 'behind', item }
    item.prepared ??= runtime.preparer.prepare(item.message)
    const { prepared } = item
    if (prepared.kind === 'event') return { kind: 'run', item, event: prepared.event }
    if (queue !== null && (prepared.kind === 'held' || runtime.config.blockAfterDead)) parking.add(queue)
    if (prepared.kind === 'held') return { kind: 'hold', item, heldFor: prepared.heldFor }
    return {
      kind: 'failed',
      item,
      failure: failureOf(runtime, item, { thrown: prepared.thrown, startedMs: item.takenMs, runUs: 0 }),
    }
  })
}

/** An attempt that threw, as it will be stored. */
export function failureOf(
  runtime: HandlerRuntime,
  item: Item,
  attempt: { readonly thrown: unknown; readonly startedMs: number; readonly runUs: number },
): Failure {
  const facts = factsOf(attempt.thrown)
  const record: AttemptRecord = {
    attempt: item.attempt,
    at: new Date(attempt.startedMs).toISOString(),
    durationMs: Math.round(attempt.runUs) / 1000,
    ...runtime.preparer.discreet(facts, item.prepared),
    instance: runtime.instance,
  }
  const verdict = classify(attempt.thrown, facts, runtime.config.nonRetryable)
  return verdict === 'hopeless' ? { record, hopeless: reasonOf(facts.code) } : { record }
}
