// The door to tracing. Nobody loads OpenTelemetry for it who has none: what is not traced costs one look at a variable.
import type { NewEvent } from '../../core/event.ts'

/** Where an attributes' names come from: OpenTelemetry's messaging conventions are in development, so a version is chosen. */
export const conventions = ['1.24', '1.30'] as const

export interface TracingOptions {
  /** Of OpenTelemetry's semantic conventions for messaging; default '1.30'. */
  readonly conventions?: (typeof conventions)[number] | undefined
}

/** What is known of an event that is handled. */
export interface Handled {
  readonly type: string
  readonly id: string
  readonly subject?: string | undefined
  readonly correlationId?: string | undefined
  readonly traceparent?: string | undefined
}

export interface Handling {
  readonly handler: string
  readonly service: string
  readonly topic: string
  readonly attempt: number
  /** One, or those of a batch. */
  readonly events: readonly Handled[]
  /** Commit and position in the log of a single one, ms since the epoch. */
  readonly recordedMs?: number | undefined
  readonly sequencedMs?: number | undefined
}

export interface Tracing {
  /** Tells that an event is published: its span, as `traceparent`, for those who handle it. */
  published(event: Pick<NewEvent, 'type' | 'subject' | 'traceparent'> & { readonly id: string }): string | undefined
  /** Runs an attempt within its span, whose `traceparent` is handed over: what the handler publishes belongs there. `failed` says why it did not succeed. */
  handled<T>(handling: Handling, work: (traceparent: string) => Promise<T>, failed: (result: T) => unknown): Promise<T>
  /** Runs the carrying of a batch within a span that links to each event's. */
  carried<T>(
    batch: { readonly sink: string; readonly traceparents: readonly (string | undefined)[] },
    work: () => Promise<T>,
  ): Promise<T>
}

let current: Tracing | undefined
let isOff = false
export const currentTracing = (): Tracing | undefined => current

/** Where @opentelemetry/api 1.x keeps what an application has registered. */
const registered = Symbol.for('opentelemetry.js.api.1')
const hasProvider = (): boolean =>
  (globalThis as { [registered]?: { trace?: unknown } })[registered]?.trace !== undefined

/**
 * Traces from now on, in this process: with `true` or options in any case; undefined: when the application has registered a provider by
 * now; `false`: no, and not until it is wanted again.
 */
export async function openTracing(wanted: boolean | TracingOptions | undefined): Promise<void> {
  if (wanted === undefined && (isOff || current !== undefined || !hasProvider())) return
  isOff = wanted === false
  if (wanted === false) {
    current = undefined
    return
  }
  const { createTracing } = await import('./tracing.ts')
  current = createTracing(wanted === true || wanted === undefined ? {} : wanted)
}
