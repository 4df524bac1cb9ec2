import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import { caused, withCause } from '../handle/caused.ts'
import { endsTransaction } from '../handle/context.ts'
import type { HandlerContext, HandlerLog, HandlerSql } from '../handle/handler.ts'
import type { SqlExecutor } from '../transports/transport.ts'

export interface ShadowContextOf {
  readonly handler: string
  readonly event: EvtEvent
  readonly position: bigint
  readonly sql: SqlExecutor
  /** What it publishes goes here, and nowhere else. */
  readonly published: NewEvent[]
  readonly log: HandlerLog
  /** Of the whole run. */
  readonly signal: AbortSignal
}

export interface ShadowContext {
  readonly context: HandlerContext
  /** From now on `sql` and `publish` throw `fenced`: the connection goes on with other events. With a reason, the signal is aborted too. */
  close(why: string, reason?: Error): void
}

/** A handler that does not wait for its statement must not end the process. */
function followed<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {})
  return work
}

export function openShadowContext(of: ShadowContextOf): ShadowContext {
  const { handler, event, position, sql, published, log } = of
  const late = new AbortController()
  let closed: string | undefined
  const assertOpen = () => {
    if (closed !== undefined)
      throw new EvtError('fenced', `cannot use the context of ${event.id} in ${handler}: ${closed}`)
  }
  const run = async (text: string, values: readonly unknown[]) => {
    assertOpen()
    if (endsTransaction.test(text))
      throw new EvtError(
        'refused',
        `cannot run "${text.trim().slice(0, 40)}" in ${handler}: the runtime ends the transaction`,
      )
    return [...(await sql.query(text, values)).rows]
  }
  const query = (text: string, values: readonly unknown[] = []) => followed(run(text, values))
  const publish = async (given: NewEvent) => {
    assertOpen()
    published.push(caused(given, [event]))
    return given.id ?? `shadow-${published.length}`
  }
  const template = (strings: TemplateStringsArray, ...values: readonly unknown[]) =>
    query(
      strings.reduce((sum, part, at) => (at === 0 ? part : `${sum}$${at}${part}`), ''),
      values,
    )
  template.query = query
  return {
    context: {
      sql: withCause(template as unknown as HandlerSql, (given) => caused(given, [event])),
      publish: (given) => followed(publish(given)),
      signal: AbortSignal.any([of.signal, late.signal]),
      log,
      attempt: 1,
      position,
      replay: { id: `shadow ${handler}`, count: 1 },
    },
    close(why, reason) {
      closed ??= why
      if (reason) late.abort(reason)
    },
  }
}
