// Room sagas: work over several events. A saga is one handler, whose events move a row, and timers, which are events of its own.
// Knows handlers and the store; never a transport, a relay or who started it.
import type { z } from 'zod'
import type { Contract } from '../core/contract.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { HandlerLog, HandlerSql, RetryPolicy } from '../handle/handler.ts'

/** What the events of one saga have in common; null: the event is none of its business. */
export type SagaKey = string | number | null

/** What a saga's code works with. Everything that it does commits together with the step, or not at all. */
export interface SagaContext {
  readonly sql: HandlerSql
  /** Published when the step commits, with the correlation of the event that the saga began with. Returns the event's id. */
  publish(event: NewEvent): Promise<string>
  /** Aborted when the code has had its time (`runTimeout`), and when the process stops. */
  readonly signal: AbortSignal
  readonly log: HandlerLog
  /** Of this step, 1 for the first. */
  readonly attempt: number
  readonly saga: { readonly id: string; readonly name: string; readonly key: string; readonly startedAt: string }
}

/** One thing that a saga does, and perhaps waits for. `state` may be changed: it is kept when the code returns. */
export interface StepOptions<S, D = never, F = never> {
  /** Does it, or asks for it. What it throws is tried again by `retry`; then the saga is undone. */
  run?(state: S, ctx: SagaContext): unknown
  /** Done when this event comes; without it, done when `run` has returned. */
  readonly awaits?: Contract<D>
  /** This event says that it cannot be done: the saga is undone, and this step has nothing to undo. */
  readonly refusedBy?: Contract<F>
  /** Which saga the event belongs to. Default: by the event's subject, where the saga's own key is the subject. */
  correlate?(event: EvtEvent<NoInfer<D> | NoInfer<F>>): SagaKey
  /** It waits for one event of each of these; `sender` says whose event it is. */
  from?(state: S): readonly string[]
  sender?(event: EvtEvent<NoInfer<D>>): string
  /** Takes what the event says into the state. What it throws is tried again by `retry`; then the saga is undone. */
  on?(state: S, event: EvtEvent<NoInfer<D>>, ctx: SagaContext): unknown
  /** How long it waits; default: as long as the saga has time. */
  readonly timeout?: string
  /**
   * `fail` (default) undoes the saga; `retry` runs the step again, within `retry.attempts`; a function goes on without those
   * that are missing.
   */
  readonly onTimeout?: 'fail' | 'retry' | ((state: S, missing: readonly string[], ctx: SagaContext) => unknown)
  /** Of `run`, `on` and `compensate`, each for itself. Default: 5 attempts from '1s', at most '10m' apart. */
  readonly retry?: RetryPolicy
  /** Undoes what `run` did or asked for; also where the answer never came, so it must do no harm when nothing was done. */
  compensate?(state: S, ctx: SagaContext): unknown
}

/** Steps that run at the same time. Made by `step` and `parallel`. */
export interface Stage<S> {
  readonly steps: readonly { readonly name: string; readonly options: StepOptions<S, unknown, unknown> }[]
}

export interface StepMaker<S> {
  step<D = never, F = never>(name: string, options: StepOptions<S, D, F>): Stage<S>
  /** All begin together; the next stage begins when all are done. */
  parallel(steps: readonly Stage<S>[]): Stage<S>
}

/** What `defineSaga` takes. Defaults stand after each field. */
export interface SagaOptions<S extends object, E, C = unknown> {
  /** Unique in the store, among handlers too: it names the cursor. `accounts.registration`. */
  readonly name: string
  /** Kept with each saga that begins, for people. Default 1. */
  readonly version?: number
  readonly startsOn: Contract<E>
  /** The key of a new saga. Default: the event's subject. */
  correlate?(event: EvtEvent<NoInfer<E>>): SagaKey
  /** JSON; checked whenever it is kept. */
  readonly state: z.ZodType<S>
  /** The state at first. Default: the event's data. */
  begin?(event: EvtEvent<NoInfer<E>>): NoInfer<S>
  /** One after the other, in this order. */
  steps(make: StepMaker<NoInfer<S>>): readonly Stage<NoInfer<S>>[]
  /** Wherever the saga stands when this event comes, it is undone: also the step that waits. Its `correlate` is like a step's. */
  readonly cancelledBy?: { readonly event: Contract<C>; correlate?(event: EvtEvent<NoInfer<C>>): SagaKey }
  /** After that it is undone. Default: the bridge's `sagaTimeout`, '1h'. */
  readonly timeout?: string
  /** `one-at-a-time` (default): when it has ended, its key may begin again. `once`: a key has one saga, ever. */
  readonly perKey?: 'one-at-a-time' | 'once'
  /** How long events are kept that come before their saga. Default '1h'. */
  readonly keepEarly?: string
  /** How long its code may take with one event; default '30s'. */
  readonly runTimeout?: string
  /** Sagas at the same time in one process. Default 4. */
  readonly concurrency?: number
  /** Where it starts to read when its name is new. Default 'latest'. */
  readonly start?: 'earliest' | 'latest'
  /** In the transaction of the last step. */
  onCompleted?(state: NoInfer<S>, ctx: SagaContext): unknown
  /** When everything is undone. */
  onFailed?(state: NoInfer<S>, ctx: SagaContext & { readonly reason: string }): unknown
}
