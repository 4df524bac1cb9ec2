import type { BackoffPolicy } from '../core/backoff.ts'
import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent, Priority } from '../core/event.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import type { BreakerPolicy } from './breaker-count.ts'
import type { AnyHandlerDefinition, BatchHandlerDefinition, HandlerContext, HandlerDefinition } from './handler.ts'
import { assertHandler, refuseHandler } from './handler-shape.ts'
import { assertMiddleware, surround } from './middleware.ts'

/** A definition with its defaults filled in and its texts parsed. */
export interface HandlerConfig {
  readonly name: string
  readonly service: string
  /** For the transport: types and type patterns. */
  readonly patterns: readonly string[]
  readonly wanted: Pattern
  /** Type → the version that the handler's token asks for; types that come by pattern get the latest one. */
  readonly versions: ReadonlyMap<string, number>
  readonly priority: Priority
  /** Events in the handler at the same time, in one process: `workers × width` at most. */
  readonly concurrency: number
  /** Transactions at the same time. */
  readonly workers: number
  /** Events of one transaction at the same time, where that is safe. */
  readonly width: number
  readonly timeoutMs: number
  readonly attempts: number
  readonly backoff: BackoffPolicy
  readonly ordered: boolean
  readonly blockAfterDead: boolean
  readonly transaction: 'batch' | 'event' | 'none'
  readonly start: 'earliest' | 'latest'
  readonly nonRetryable: ReadonlySet<string>
  /** Undefined: it never opens. */
  readonly breaker: BreakerPolicy | undefined
  /** Its own word about its health; without `everyMs`, as often as others are asked. */
  readonly check: { run(signal: AbortSignal): unknown; readonly everyMs?: number } | undefined
  /** Events of one call; 1 for a handler that takes single ones. */
  readonly batch: number
  /** Undefined: what suits how quick it is. */
  readonly takes: number | undefined
  /** How long an event waits for others to come. */
  readonly lingerMs: number
  readonly handle: HandlerDefinition['handle']
  handleBatch(events: readonly EvtEvent[], ctx: HandlerContext): Promise<void> | void
}

/** Shared by many events each: more would only be smaller. */
const mostTransactions = 4
const mostOfBatch = 10_000
const longestLingerMs = 10_000

/** Throws EvtError('config') naming the handler and the field. */
export function resolveHandler(definition: AnyHandlerDefinition): HandlerConfig {
  const refuse = refuseHandler(definition)
  assertHandler(definition, refuse)
  const { name, retry = {} } = definition
  const within = (field: string, value: number, most: number) => {
    if (Number.isInteger(value) && value >= 1 && value <= most) return value
    throw refuse(`${field} is ${String(value)}, not a whole number from 1 to ${most}`)
  }
  const duration = (field: string, text: string) => {
    try {
      const ms = parseDuration(text)
      if (ms > 0) return ms
    } catch (error) {
      throw refuse(
        `${field}: ${error instanceof EvtError ? error.message : String(error)}`,
        'write it as 250ms, 30s or 10m',
      )
    }
    throw refuse(`${field} is not above zero`)
  }
  assertMiddleware(definition.use, refuse)
  const priority = definition.priority ?? 'normal'
  const transaction = definition.transaction ?? 'batch'
  if (isBatchHandler(definition) && definition.transaction === ('event' as string))
    throw refuse("transaction is 'event', and the events of a batch share one")
  const concurrency = within('concurrency', definition.concurrency ?? (transaction === 'batch' ? 16 : 4), 256)
  const workers = transaction === 'batch' ? Math.min(concurrency, mostTransactions) : concurrency
  const shareOf = (value: number) => {
    if (value > 0 && value <= 1) return value
    throw refuse(`breaker.share is ${String(value)}, not a number above 0 and at most 1`)
  }
  const breakerOf = (breaker: HandlerDefinition['breaker'] = {}) =>
    breaker === false
      ? undefined
      : {
          subjects: within('breaker.subjects', breaker.subjects ?? 10, 1000),
          share: shareOf(breaker.share ?? 0.5),
          windowMs: duration('breaker.window', breaker.window ?? '1m'),
          probeMs: duration('breaker.probe', breaker.probe ?? '2s'),
        }
  function checkOf(): HandlerConfig['check'] {
    const { check, checkInterval } = definition
    if (check === undefined) return undefined
    if (typeof check !== 'function') throw refuse('check is no function')
    const every = checkInterval === undefined ? {} : { everyMs: duration('checkInterval', checkInterval) }
    return { run: (signal) => definition.check?.(signal), ...every }
  }
  function lingerOf(linger: string | undefined): number {
    if (linger === undefined) return 0
    const ms = duration('linger', linger)
    if (ms <= longestLingerMs) return ms
    throw refuse(`linger is ${linger}, above ${longestLingerMs / 1_000}s`)
  }
  function wantedOf(patterns: readonly string[]): Pattern {
    try {
      return compilePatterns(patterns)
    } catch (error) {
      throw error instanceof EvtError ? refuse(error.message, error.hint) : error
    }
  }
  const takes = isBatchHandler(definition) ? undefined : definition.takes
  const patterns = definition.on.map((one) => (typeof one === 'string' ? one : one.type))
  return {
    name,
    service: definition.group ?? name.split('.')[0] ?? name,
    patterns,
    wanted: wantedOf(patterns),
    versions: versionsOf(definition),
    priority,
    concurrency,
    workers,
    width: Math.floor(concurrency / workers),
    timeoutMs: duration('timeout', definition.timeout ?? '30s'),
    attempts: within('retry.attempts', retry.attempts ?? 5, 1000),
    backoff: {
      backoff: retry.backoff ?? 'exponential',
      initialMs: duration('retry.initial', retry.initial ?? '1s'),
      maxMs: duration('retry.max', retry.max ?? '10m'),
    },
    ordered: (('ordering' in definition ? definition.ordering : undefined) ?? 'subject') === 'subject',
    blockAfterDead: definition.afterDead === 'block',
    transaction,
    start: definition.start ?? 'latest',
    nonRetryable: new Set(definition.nonRetryable ?? []),
    breaker: breakerOf(definition.breaker),
    check: checkOf(),
    batch: isBatchHandler(definition) ? within('batch', definition.batch, mostOfBatch) : 1,
    lingerMs: lingerOf(definition.linger),
    takes: takes === undefined ? undefined : within('takes', takes, mostOfBatch),
    ...callsOf(definition),
  }
}

/** The handler with its middleware, as methods of the definition: they may use `this`. */
function callsOf(definition: AnyHandlerDefinition): Pick<HandlerConfig, 'handle' | 'handleBatch'> {
  const { name, use } = definition
  if (isBatchHandler(definition)) {
    const handleBatch = surround(name, use, (events, context) => definition.handle(events, context))
    return { handle: (event, context) => handleBatch([event], context), handleBatch }
  }
  const one = definition as HandlerDefinition
  const handleBatch = surround(name, use, (events, context) => one.handle(events[0] as EvtEvent, context))
  return {
    handle: use ? (event, context) => handleBatch([event], context) : (event, context) => one.handle(event, context),
    handleBatch,
  }
}

/** Throws EvtError('config') for a limit of all handlers that is none. */
export function checkedMost(most: number | undefined): number | undefined {
  if (most === undefined || (Number.isInteger(most) && most >= 1)) return most
  throw new EvtError('config', `cannot run handlers: maxConcurrentHandlers is ${most}, not a whole number from 1 on`)
}

export const isBatchHandler = (definition: AnyHandlerDefinition): definition is BatchHandlerDefinition =>
  'batch' in definition && definition.batch !== undefined

function versionsOf(definition: AnyHandlerDefinition): ReadonlyMap<string, number> {
  const versions = new Map<string, number>()
  for (const one of definition.on) {
    if (typeof one === 'string') continue
    const known = versions.get(one.type)
    if (known !== undefined && known !== one.version) {
      throw new EvtError(
        'config',
        `cannot use handler ${JSON.stringify(definition.name)}: it asks for ${one.type} in two versions`,
        {
          hint: 'list one of them; older events are up-cast to it',
        },
      )
    }
    versions.set(one.type, one.version)
  }
  return versions
}
