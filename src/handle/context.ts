import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { Session } from '../store/sessions.ts'
import type { HandlerContext, HandlerLog, HandlerSql } from './handler.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Item } from './item.ts'

/** A context and the means to end it. */
export interface OpenContext {
  readonly context: HandlerContext
  /** Statements that the handler sent and did not wait for. */
  pending(): number
  idle(): Promise<void>
  /** The first statement that failed, also when the handler swallowed the error. */
  sqlError(): unknown
  /** From now on `sql` and `publish` throw; `abort` also fires the signal. */
  close(why: string, abort?: { readonly reason: unknown }): void
}

const endsTransaction =
  /^\s*(?:(?:commit|abort|end|begin|start\s+transaction|prepare\s+transaction)\b|rollback\b(?!\s+(?:work\s+|transaction\s+)?to\b))/i

export function openContext(
  runtime: HandlerRuntime,
  item: Item,
  at: { readonly event: EvtEvent; readonly session: Session | undefined },
): OpenContext {
  const { event, session } = at
  let closed: string | undefined
  let controller: AbortController | undefined
  let aborted: { readonly reason: unknown } | undefined
  let pending = 0
  let onIdle: (() => void) | undefined
  let failed: unknown

  const guard = (text?: string): Session => {
    if (closed !== undefined)
      throw new EvtError('fenced', `cannot use the context of ${event.id} in ${runtime.config.name}: ${closed}`)
    if (!session) {
      throw new EvtError(
        'unsupported',
        `cannot use ctx.sql in ${runtime.config.name}: it declares transaction 'none'`,
        {
          hint: "declare transaction: 'batch' or 'event'",
        },
      )
    }
    if (text !== undefined && endsTransaction.test(text)) {
      throw new EvtError(
        'refused',
        `cannot run "${text.trim().slice(0, 40)}" in ${runtime.config.name}: the runtime ends the transaction`,
        {
          hint: 'throw to roll back; return to commit',
        },
      )
    }
    return session
  }
  const track = <T>(work: Promise<T>): Promise<T> => {
    pending += 1
    const settled = () => {
      pending -= 1
      if (pending === 0) onIdle?.()
    }
    work.then(settled, (error: unknown) => {
      failed ??= error
      settled()
    })
    return work
  }
  const query = (text: string, values: readonly unknown[]) => {
    const rows = (async () => (await track(guard(text).sql.query(text, values))).rows)()
    // A handler that does not wait for its statement must not end the process; its failure is found all the same.
    rows.catch(() => {})
    return rows
  }
  const context: HandlerContext = {
    sql: createSql(query),
    publish(given) {
      const id = (async () => (await track(runtime.publish(guard().sql, [caused(given, event)])))[0] ?? '')()
      id.catch(() => {})
      return id
    },
    get signal() {
      controller ??= new AbortController()
      if (aborted) controller.abort(aborted.reason)
      return controller.signal
    },
    get log() {
      return logFor(runtime, item)
    },
    attempt: item.attempt,
    ...(item.stored?.redrive ? { replay: { id: item.stored.redrive.replayId, count: item.stored.redrive.count } } : {}),
  }
  return {
    context,
    pending: () => pending,
    idle: () => (pending === 0 ? Promise.resolve() : new Promise((resolve) => (onIdle = resolve))),
    sqlError: () => failed,
    close(why, abort) {
      closed ??= why
      if (!abort) return
      aborted = abort
      controller?.abort(abort.reason)
    },
  }
}

type Query = (text: string, values: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>

const texts = new WeakMap<TemplateStringsArray, string>()

function createSql(query: Query): HandlerSql {
  const template = (strings: TemplateStringsArray, ...values: readonly unknown[]) => query(textOf(strings), values)
  template.query = (text: string, values: readonly unknown[] = []) => query(text, values)
  return template as HandlerSql
}

/** `insert into t values (${a}, ${b})` → `insert into t values ($1, $2)`, once for each place in the source. */
function textOf(strings: TemplateStringsArray): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  const text = strings.reduce((sum, part, at) => (at === 0 ? part : `${sum}$${at}${part}`), '')
  texts.set(strings, text)
  return text
}

/** What a handler publishes is caused by what it handles. */
function caused(given: NewEvent, event: EvtEvent): NewEvent {
  return {
    causationId: event.id,
    correlationId: event.correlationId ?? event.id,
    ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
    ...(event.tenant === undefined ? {} : { tenant: event.tenant }),
    ...given,
  }
}

function logFor(runtime: HandlerRuntime, item: Item): HandlerLog {
  const own = { handler: runtime.config.name, event: item.message.id, attempt: item.attempt }
  return {
    debug: (message, fields) => runtime.log.debug(message, { ...own, ...fields }),
    info: (message, fields) => runtime.log.info(message, { ...own, ...fields }),
    warn: (message, fields) => runtime.log.warn(message, { ...own, ...fields }),
    error: (message, fields) => runtime.log.error(message, { ...own, ...fields }),
  }
}
