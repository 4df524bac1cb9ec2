import type { AlertRule } from '../core/alerts/alert-rule.ts'
import type { HttpOptions } from '../core/http-options.ts'
import type { PrivacyOptions } from '../core/privacy-options.ts'
import type { Registry } from '../core/registry.ts'
import type { RetentionOptions } from '../core/retention.ts'
import type { SinkOptions, SourceOptions } from '../core/sinks-and-sources.ts'
import type { ServiceDefinition } from '../handle/define-service.ts'
import type { AnyHandlerDefinition, HandlerLog, Middleware } from '../handle/handler.ts'
import type { ResultObserver } from '../handle/results.ts'
import type { Saga } from '../handle/saga.ts'
import type { Store } from '../store/connection.ts'
import type { TracingOptions } from '../watch/tracing/current.ts'

export const bridgeRoles = ['relay', 'handlers', 'http'] as const
export type BridgeRole = (typeof bridgeRoles)[number]

export interface BridgeOptions {
  /** A URL, whose connections the bridge closes at its end, or an open store, which stays open. */
  readonly store: Store | string
  readonly handlers?: readonly AnyHandlerDefinition[]
  /** Run with the role `handlers`, beside those of `services`. */
  readonly sagas?: readonly Saga[]
  /** How long a saga may take that does not say so itself; default '1h'. */
  readonly sagaTimeout?: string
  /** Default: made of the contracts of `services`. */
  readonly registry?: Registry
  /** Their handlers run beside `handlers`; tables and captures are set up at the start. */
  readonly services?: readonly ServiceDefinition[]
  /** Default: all; `http` only with the option of that name. */
  readonly roles?: readonly BridgeRole[]
  /** Names this process; unique among those that run. Default: a random one. */
  readonly instance?: string
  readonly log?: HandlerLog
  /** How long handlers may finish what they began; default '10s'. */
  readonly grace?: string
  /** Connections for handlers' transactions; default 16. */
  readonly connections?: number
  /** Events in all handlers of this process at the same time. Default: what each handler says, and `connections`. */
  readonly maxConcurrentHandlers?: number | undefined
  /**
   * Ends the process when a handler has not given back its event loop for so long, '1m': who takes over finds the guilty event. Longer than
   * any work between two awaits; not for a process that is debugged. Default: never.
   */
  readonly watchdog?: string | undefined
  /** Code around every handler, outside of its service's and its own. */
  readonly use?: Middleware | undefined
  /** Is told what became of each try to process an event. What it throws is logged; nothing waits for it; one that is far behind misses some. */
  readonly onResult?: ResultObserver | undefined
  /** Between two calls of a handler's `check`, where it does not say so itself; default '10s'. */
  readonly checkInterval?: string | undefined
  /** Where the relay carries the log to, each with a cursor of its own. */
  readonly sinks?: readonly SinkOptions[]
  /** Foreign traffic that is brought into the store. */
  readonly sources?: readonly SourceOptions[]
  /** The name of a sink: handlers read it in place of the log. */
  readonly consume?: string
  /** Serves HTTP: publish, follow, look; to `roles` without `http`, look alone. Nothing is served without it. */
  readonly http?: HttpOptions | undefined
  /** How long which events are kept; written to the store by bridges of role relay. Default: what the store says. */
  readonly retention?: RetentionOptions | undefined
  /**
   * OpenTelemetry spans for publishing, carrying and handling, by the provider that the application has registered. Default: when there is
   * one at the start.
   */
  readonly tracing?: boolean | TracingOptions | undefined
  /** Beside the built-in alerts, and in place of those of the same name; looked at by bridges of role relay. */
  readonly alerts?: readonly AlertRule[] | undefined
  /** Between two looks at traffic and alerts; default '5s'. */
  readonly monitoringInterval?: string | undefined
  /** Keys for what contracts encrypt, and what happens with fields that look personal. */
  readonly privacy?: PrivacyOptions | undefined
  /** Patterns of types whose draft contracts may be published. */
  readonly drafts?: readonly string[] | undefined
}
