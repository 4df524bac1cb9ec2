import { EvtError } from '../core/errors.ts'
import { priorities } from '../core/event.ts'
import { assertKnownKeys, assertOneOf, type KeysOf, type Refuse } from '../core/known-keys.ts'
import type {
  AnyHandlerDefinition,
  BatchHandlerDefinition,
  BreakerOptions,
  HandlerDefinition,
  RetryPolicy,
} from './handler.ts'

const handlerKeys: KeysOf<HandlerDefinition & BatchHandlerDefinition> = {
  name: true,
  on: true,
  group: true,
  priority: true,
  concurrency: true,
  takes: true,
  linger: true,
  timeout: true,
  retry: true,
  ordering: true,
  afterDead: true,
  transaction: true,
  start: true,
  breaker: true,
  check: true,
  checkInterval: true,
  use: true,
  nonRetryable: true,
  batch: true,
  handle: true,
}
const retryKeys: KeysOf<RetryPolicy> = { attempts: true, backoff: true, initial: true, max: true }
const breakerKeys: KeysOf<BreakerOptions> = { subjects: true, share: true, window: true, probe: true }

const namePattern = /^[a-z0-9][a-z0-9._-]{0,99}$/

/** Throws what `refuse` makes of what is no handler, whoever wrote it without the types. */
export function assertHandler(definition: AnyHandlerDefinition, refuse: Refuse): void {
  if (!isObject(definition)) throw refuse('it is no object', 'make it with defineHandler')
  const { name, on, retry, breaker, nonRetryable } = definition
  if (typeof name !== 'string' || !namePattern.test(name))
    throw refuse('a name is lower-case words with dots', 'for example icons.user-preferences')
  assertKnownKeys(definition, handlerKeys, { refuse })
  if (!Array.isArray(on) || on.length === 0) throw refuse('it listens to nothing', 'list contracts or patterns in `on`')
  const odd = on.findIndex(
    (one: unknown) => typeof one !== 'string' && typeof (one as { type?: unknown })?.type !== 'string',
  )
  if (odd >= 0) throw refuse(`on.${odd} is no contract and no pattern`, 'is it exported where it is imported from?')
  if (typeof definition.handle !== 'function') throw refuse('handle is no function', 'async handle(event, ctx) { … }')
  assertRetry(retry, refuse)
  if (breaker !== undefined && breaker !== false) {
    if (!isObject(breaker)) throw refuse('breaker is no object', 'breaker: { subjects: 10 }, or false')
    assertKnownKeys(breaker, breakerKeys, { field: 'breaker', refuse })
  }
  if (nonRetryable !== undefined && !Array.isArray(nonRetryable)) throw refuse('nonRetryable is no list')
  const allowed = {
    priority: priorities,
    ordering: ['subject', 'none'],
    afterDead: ['continue', 'block'],
    transaction: ['batch', 'event', 'none'],
    start: ['earliest', 'latest'],
  }
  const values = definition as unknown as Record<string, unknown>
  for (const [field, set] of Object.entries(allowed)) assertOneOf(values[field], set, { field, refuse })
}

/** The same for how often something is tried. */
export function assertRetry(retry: RetryPolicy | undefined, refuse: Refuse): void {
  if (retry === undefined) return
  if (!isObject(retry)) throw refuse('retry is no object', "retry: { attempts: 5, initial: '1s' }")
  assertKnownKeys(retry, retryKeys, { field: 'retry', refuse })
  assertOneOf(retry.backoff, ['exponential', 'fixed'], { field: 'retry.backoff', refuse })
}

const isObject = (given: unknown): given is object => typeof given === 'object' && given !== null

/** A handler as it is named where it is refused. */
export const refuseHandler =
  (definition: AnyHandlerDefinition): Refuse =>
  (reason, hint) =>
    new EvtError(
      'config',
      `cannot use handler ${JSON.stringify((definition as Partial<AnyHandlerDefinition> | null)?.name) ?? 'without a name'}: ${reason}`,
      hint === undefined ? {} : { hint },
    )
