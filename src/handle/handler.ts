// Room handle: runs subscribers over lanes. Knows the transport contract and the store; never a concrete transport.
import type { Contract } from '../core/contract.ts'
import type { EvtEvent, NewEvent, Priority } from '../core/event.ts'

/** Tagged template and plain query over the handler's transaction; the inbox row is in the same transaction. */
export interface HandlerSql {
  <R extends object = Record<string, unknown>>(
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ): Promise<R[]>
  query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>
}

export interface HandlerLog {
  debug(message: string, fields?: object): void
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

export interface HandlerContext {
  /** Commits together with the event's settlement, or not at all. Throws `fenced` after a timeout or a lost lane. */
  readonly sql: HandlerSql
  /** Published in the same transaction: seen if and only if the handler succeeds. Returns the event's id. */
  publish(event: NewEvent): Promise<string>
  /** Aborted on timeout, on loss of the lane and on forced shutdown. */
  readonly signal: AbortSignal
  readonly log: HandlerLog
  /** 1 for the first. */
  readonly attempt: number
  /** Where the event stands in the log; undefined where handlers read it from elsewhere. */
  readonly position?: bigint | undefined
  /** Set when this delivery is a redrive of a dead letter. */
  readonly replay?: { readonly id: string; readonly count: number }
}

declare const handled: unique symbol
/** Proof that the handler has succeeded: nothing makes one but `next()`. */
export interface Handled {
  readonly [handled]: true
}

/**
 * Code around a handler, in its transaction and within its time: it runs for every attempt, and not at all for an event that was handled
 * before. Its parts have their places by their names, whatever order they are written in, and all of them throw to fail the attempt. Each gets
 * the events of the call: one, but for batch handlers.
 *
 * A bridge's (or a bus's) is outside, then its service's, then the handler's own. All `before` run first, from outside to inside; then `around`,
 * each around the next; then all `after`, from inside to outside.
 */
export interface Middleware {
  /** Looks at the events before anything is done with them. */
  before?(events: readonly EvtEvent[], ctx: HandlerContext): Promise<void> | void
  /** Calls `next()`, once, and resolves to what that resolves to: nothing can pass over the handler in silence. */
  around?(events: readonly EvtEvent[], ctx: HandlerContext, next: () => Promise<Handled>): Promise<Handled>
  /** Adds to what the handler has done; it commits together with that. */
  after?(events: readonly EvtEvent[], ctx: HandlerContext): Promise<void> | void
}

export interface RetryPolicy {
  /** Attempts in all, the first included. Default 5. */
  readonly attempts?: number
  readonly backoff?: 'exponential' | 'fixed'
  /** First delay; full jitter is applied. Default '1s'. */
  readonly initial?: string
  /** Default '10m'. */
  readonly max?: string
}

/** Defaults stand after each field. */
export interface BreakerOptions {
  /** Opens at so many distinct subjects that fail (10; 1 to 1,000) … */
  readonly subjects?: number
  /** … when they are this share of those that were seen (0.5) … */
  readonly share?: number
  /** … within this time ('1m'). */
  readonly window?: string
  /** Time between two probes ('2s'). */
  readonly probe?: string
}

/** What `defineHandler` takes. Defaults stand after each field. */
export interface HandlerDefinition {
  /** Unique in the store: names the cursor. `icons.user-preferences`. */
  readonly name: string
  /** Contracts (`userCreated`, `userCreated.v1`) or type patterns (`'user.*'`). */
  // biome-ignore lint/suspicious/noExplicitAny: a handler may list contracts of different payloads
  readonly on: readonly (Contract<any> | string)[]
  /** The service it belongs to. Default: the name up to the first dot. */
  readonly group?: string
  /** Default 'normal'. Higher classes get connections first. */
  readonly priority?: Priority
  /**
   * Events of this handler in one process at the same time: in up to four transactions, and where an event makes one statement
   * at most, several to a transaction. Default 16 with `transaction: 'batch'`, else 4. 1 runs one after the other.
   */
  readonly concurrency?: number
  /**
   * Events that it takes at once, at most: they share a transaction with `transaction: 'batch'`; without a store they are fetched together.
   * Default 100, without a store 200.
   */
  readonly takes?: number
  /**
   * How long an event may wait for others to share its transaction, or its batch: less work for the same events, for what nobody waits for.
   * Not longer once there are as many as it takes. Default: it does not wait; at most '10s'. Without a store nothing waits.
   */
  readonly linger?: string
  /** Default '30s'. Aborts the signal and fences the transaction. */
  readonly timeout?: string
  readonly retry?: RetryPolicy
  /** 'subject' (default): a failing subject waits while others flow. 'none': events are retried on their own. */
  readonly ordering?: 'subject' | 'none'
  /** After a dead letter the subject goes on (default) or waits for the dead letter to be replayed or discarded. */
  readonly afterDead?: 'continue' | 'block'
  /** 'batch' (default): up to 100 events share one transaction. 'event': one each. 'none': no transaction, `ctx.sql` throws. */
  readonly transaction?: 'batch' | 'event' | 'none'
  /** Where it starts when its name is new. Default 'latest'. */
  readonly start?: 'earliest' | 'latest'
  /**
   * What stops the handler in all processes when something behind it is broken, so that its events wait and do not die. `false`: nothing
   * does.
   */
  readonly breaker?: BreakerOptions | false
  /**
   * Whether what it needs is there, such as the server behind it: throws, or resolves to false, when it is not. Then the handler waits in
   * this process, and goes on by itself when a later check succeeds; nothing is spent. Asked before its first event, every `checkInterval`,
   * after a failure, and before an open breaker tries an event. No answer within 5 s is a no; the signal is aborted then.
   */
  check?(signal: AbortSignal): Promise<unknown> | unknown
  /** Between two checks. Default: what the bridge or the bus says, '10s'. Every second at least while the answer is no. */
  readonly checkInterval?: string
  /** Code around it, inside of its service's and its bridge's. */
  readonly use?: Middleware | undefined
  /** Errors that no retry can mend: error class names or codes, beside decode, contract and checksum. */
  readonly nonRetryable?: readonly string[]
  // biome-ignore lint/suspicious/noExplicitAny: narrowed by defineHandler's overloads
  handle(event: EvtEvent<any>, ctx: HandlerContext): Promise<void> | void
}

/**
 * A handler of several events at once, in the order of each subject, in one transaction. When it fails, it is narrowed down to the guilty
 * events: the others are handled, by calls with fewer of them.
 */
export interface BatchHandlerDefinition
  extends Omit<HandlerDefinition, 'handle' | 'ordering' | 'transaction' | 'takes'> {
  /** Events of one call, at most; there may be fewer at any time. */
  readonly batch: number
  /** 'batch' (default), or 'none': no transaction, `ctx.sql` throws. */
  readonly transaction?: 'batch' | 'none'
  // biome-ignore lint/suspicious/noExplicitAny: a handler may list contracts of different payloads
  handle(events: readonly EvtEvent<any>[], ctx: HandlerContext): Promise<void> | void
}

export type AnyHandlerDefinition = HandlerDefinition | BatchHandlerDefinition

export type SubscribeOptions = Omit<HandlerDefinition, 'on' | 'handle' | 'name'> & {
  /**
   * Names its group: processes with the same one share the work, and a restarted one goes on where it was. Default: made of the patterns.
   */
  readonly name?: string
}
