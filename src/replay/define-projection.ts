import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import { assertKnownKeys, type KeysOf, type Refuse } from '../core/known-keys.ts'
import { compilePatterns } from '../core/pattern.ts'
import type { EventOf, EventSource } from '../handle/define-handler.ts'
import type { BatchHandlerDefinition, HandlerContext } from '../handle/handler.ts'
import { assertRetry } from '../handle/handler-shape.ts'
import type { Projection } from '../handle/projection.ts'

export interface ProjectionOptions extends Pick<BatchHandlerDefinition, 'on' | 'concurrency' | 'timeout' | 'retry'> {
  /** Also the schema in which its tables are read: `select * from orders_view.totals`. Lower-case letters, digits, underscores, not `…_g2`. */
  readonly name: string
  /** Default 1. A higher one is built beside the live one when a bridge starts with it, and takes its place when it has caught up: by itself
   * only while retention has removed none of its events. */
  readonly version?: number
  /** Name → what stands between the parentheses of `create table`: `'id text primary key, total numeric not null'`. */
  readonly tables: Readonly<Record<string, string>>
  /**
   * Puts one event into the tables, which it names without a schema. Nothing else should happen here: it runs again for all of history
   * whenever the projection is rebuilt. Its effect is once per build; events of a subject come in order.
   */
  // biome-ignore lint/suspicious/noExplicitAny: a projection may list contracts of different payloads
  apply(event: EvtEvent<any>, ctx: ProjectionContext): Promise<void> | void
}

export type ProjectionContext = Pick<HandlerContext, 'sql' | 'log' | 'signal'>

/** As `defineProjection` made it. */
export interface ProjectionConfig extends Projection {
  readonly version: number
  readonly options: ProjectionOptions
}

/** Types and patterns that it listens to. */
export const typesOf = ({ on }: ProjectionOptions): readonly string[] =>
  on.map((one) => (typeof one === 'string' ? one : one.type))

const projectionKeys: KeysOf<ProjectionOptions> = {
  name: true,
  version: true,
  on: true,
  tables: true,
  apply: true,
  concurrency: true,
  timeout: true,
  retry: true,
}
const namePattern = /^[a-z][a-z0-9_]{0,39}$/

/**
 * Declares tables that are made of events alone; an event has the data types of the contracts that `on` lists. Throws EvtError('config') for a
 * name, a version or tables that cannot be.
 */
export function defineProjection<const On extends readonly EventSource[]>(
  given: Omit<ProjectionOptions, 'on' | 'apply'> & {
    readonly on: On
    apply(event: EventOf<On[number]>, ctx: ProjectionContext): Promise<void> | void
  },
): ProjectionConfig {
  const options = given as unknown as ProjectionOptions
  const { name, version = 1, tables, on } = options
  const refuse: Refuse = (reason, hint) =>
    new EvtError(
      'config',
      `cannot define projection ${JSON.stringify(name)}: ${reason}`,
      hint === undefined ? {} : { hint },
    )
  if (
    typeof name !== 'string' ||
    !namePattern.test(name) ||
    ['evt', 'event_store', 'public'].includes(name) ||
    name.startsWith('pg_')
  )
    throw refuse('a name is lower-case letters, digits and underscores, and no schema that is there')
  assertKnownKeys(options, projectionKeys, { refuse })
  assertRetry(options.retry, refuse)
  if (/_g\d+$/.test(name)) throw refuse('no name ends in _g and a number: schemas of builds do')
  if (!Number.isInteger(version) || version < 1) throw refuse('version is not a whole number from 1')
  if (!Array.isArray(on) || on.length === 0) throw refuse('it listens to nothing')
  try {
    compilePatterns(typesOf(options))
  } catch (error) {
    throw error instanceof EvtError ? refuse(error.message, error.hint) : error
  }
  if (typeof options.apply !== 'function') throw refuse('apply is no function')
  if (typeof tables !== 'object' || tables === null || Object.keys(tables).length === 0)
    throw refuse('it has no tables')
  const odd = Object.keys(tables).find((table) => !namePattern.test(table))
  if (odd !== undefined) throw refuse(`table ${JSON.stringify(odd)} is no lower-case name`)
  return { kind: 'projection', name, version, options }
}
