import type { AlertRule } from '../core/alerts/alert-rule.ts'
import type { EventContract } from '../core/define-event.ts'
import { EvtError } from '../core/errors.ts'
import type { ScenarioDefinition } from '../core/scenario.ts'
import type { CaptureOptions } from '../store/capture/config.ts'
import type { AnyHandlerDefinition, HandlerLog, Middleware } from './handler.ts'
import { usedBy } from './middleware.ts'
import type { Projection } from './projection.ts'
import type { Saga } from './saga.ts'
import { assertService } from './service-shape.ts'

/** Statements in a service's database, outside of handlers. */
export interface ServiceSql {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>
}

export interface ServiceContext {
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (sql: ServiceSql) => Promise<T>): Promise<T>
  readonly log: HandlerLog
  /** Aborted when the bridge stops. */
  readonly signal: AbortSignal
}

/** A service as a bridge runs it: its events, its handlers, its tables. */
export interface ServiceDefinition {
  readonly name: string
  // biome-ignore lint/suspicious/noExplicitAny: contracts of different payloads
  readonly contracts: readonly EventContract<any>[]
  readonly handlers: readonly AnyHandlerDefinition[]
  /** Code around each of its handlers, inside of the bridge's. */
  readonly use?: Middleware | undefined
  /** Patterns of the types that its handlers and sagas may publish; another one is refused. Default: everything. */
  readonly publishes?: readonly string[]
  /** Patterns of the types that its handlers and sagas may subscribe to. Default: everything. */
  readonly subscribes?: readonly string[]
  /** Work over several events: see `defineSaga`. Their contracts stand in `contracts`. */
  readonly sagas?: readonly Saga[]
  /** Alerts that a bridge looks for which runs this service; a built-in rule's name changes that rule. */
  readonly alerts?: readonly AlertRule[]
  /** Tables made of events alone: see `defineProjection`. */
  readonly projections?: readonly Projection[]
  /** SQL of its own tables, run in this order whenever a bridge starts: each must be safe to run twice. */
  readonly migrations?: readonly string[]
  /** Tables whose changes become events; attached when a bridge starts. */
  readonly captures?: readonly CaptureOptions[]
  /** Flows of its events that `evt gen scenario:NAME` plays: see `defineScenario`. */
  readonly scenarios?: readonly ScenarioDefinition[]
  /** Runs beside the handlers from the start of a bridge until the signal; what it throws is logged. */
  start?(context: ServiceContext): Promise<void> | void
}

/** Declares a service. Throws EvtError('config') for a name that is none, and for options that no service has. */
export function defineService(definition: ServiceDefinition): ServiceDefinition {
  const name = (definition as Partial<ServiceDefinition> | undefined)?.name
  assertService(
    definition,
    (reason, hint) =>
      new EvtError(
        'config',
        `cannot define service ${JSON.stringify(name)}: ${reason}`,
        hint === undefined ? {} : { hint },
      ),
  )
  return definition
}

/** The handlers of a service as they run: within its middleware. */
export const handlersOf = ({
  handlers,
  use,
}: Pick<ServiceDefinition, 'handlers' | 'use'>): readonly AnyHandlerDefinition[] =>
  handlers.map((one) => usedBy(use, one))
