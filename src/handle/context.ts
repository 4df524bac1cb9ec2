import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { Session } from '../store/sessions.ts'
import { caused, withCause } from './caused.ts'
import type { HandlerContext, HandlerLog, HandlerSql } from './handler.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Item } from './item.ts'

export const endsTransaction =
  /^\s*(?:(?:commit|abort|end|begin|start\s+transaction|prepare\s+transaction)\b|rollback\b(?!\s+(?:work\s+|transaction\s+)?to\b))/i

/** What one call of a batch handler is about. */
export interface Batch {
  readonly items: readonly Item[]
  readonly events: readonly EvtEvent[]
}

/** What one attempt works with. */
export interface AttemptOf {
  readonly runtime: HandlerRuntime
  /** The first, of several. */
  readonly item: Item
  readonly event: EvtEvent
  /** All of them, in a batch. */
  readonly batch: Batch | undefined
  readonly session: Session | undefined
  /** Others run in the same transaction. */
  readonly abreast: boolean
}

/**
 * The context of one attempt, and the means to end it. A class and not closures: there is one for every event, and most
 * handlers use one member of it or none.
 */
export class AttemptContext implements HandlerContext {
  readonly attempt: number
  readonly replay?: { readonly id: string; readonly count: number }
  readonly #of: AttemptOf
  #closed: string | undefined
  #controller: AbortController | undefined
  #aborted: { readonly reason: unknown } | undefined
  #pending = 0
  #statements = 0
  #onIdle: (() => void) | undefined
  #sqlError: unknown

  constructor(of: AttemptOf) {
    this.#of = of
    this.attempt = of.batch ? Math.max(...of.batch.items.map(({ attempt }) => attempt)) : of.item.attempt
    const redrive = of.item.stored?.redrive
    if (redrive) this.replay = { id: redrive.replayId, count: redrive.count }
  }

  /** Functions of their own, so that a handler may take the context apart: `handle(event, { sql, publish })`. */
  get sql(): HandlerSql {
    const template = (strings: TemplateStringsArray, ...values: readonly unknown[]) =>
      this.#query(textOf(strings), values)
    template.query = (text: string, values: readonly unknown[] = []) => this.#query(text, values)
    return withCause(template as HandlerSql, (given) => this.#caused(given))
  }

  get publish(): HandlerContext['publish'] {
    const { runtime } = this.#of
    return (given) =>
      this.#track(async (session) => (await runtime.publish(session.sql, [this.#caused(given)]))[0] ?? '')
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted) this.#controller.abort(this.#aborted.reason)
    return this.#controller.signal
  }

  get position(): bigint | undefined {
    const { message, stored } = this.#of.item
    return message.log ?? stored?.position
  }

  get log(): HandlerLog {
    return logOf(this.#of)
  }

  /** Resolves when no statement is under way: also those that the handler did not wait for. */
  static settled(context: AttemptContext): Promise<void> | undefined {
    if (context.#pending === 0) return undefined
    return new Promise((resolve) => {
      context.#onIdle = resolve
    })
  }

  /** The first statement that failed, also when the handler swallowed the error. */
  static sqlError(context: AttemptContext): unknown {
    return context.#sqlError
  }

  /** From now on `sql` and `publish` throw; `abort` also fires the signal. */
  static close(context: AttemptContext, why: string, abort?: { readonly reason: unknown }): void {
    context.#closed ??= why
    if (!abort) return
    context.#aborted = abort
    context.#controller?.abort(abort.reason)
  }

  /** A hop limit is found also where the handler swallows it. */
  #caused(given: NewEvent): NewEvent {
    const { event, batch } = this.#of
    try {
      return caused(given, batch?.events ?? [event])
    } catch (error) {
      this.#sqlError ??= error
      throw error
    }
  }

  #query(text: string, values: readonly unknown[]): Promise<readonly Record<string, unknown>[]> {
    return this.#track(async (session) => (await session.sql.query(text, values)).rows, text)
  }

  /** A handler that does not wait for its statement must not end the process; its failure is found all the same. */
  #track<T>(work: (session: Session) => Promise<T>, text?: string): Promise<T> {
    let running: Promise<T>
    try {
      running = work(this.#usable(text))
      this.#pending += 1
    } catch (error) {
      running = Promise.reject(error)
      running.catch(() => {})
      return running
    }
    running.then(
      () => this.#left(),
      (error: unknown) => {
        this.#sqlError ??= error
        this.#left()
      },
    )
    return running
  }

  /** A second statement may build on the first: from now on nothing of others comes between them. */
  #count(): void {
    this.#statements += 1
    if (this.#statements < 2) return
    const { runtime, abreast } = this.#of
    runtime.pace.several()
    if (abreast) throw new EvtError('internal', 'this transaction is rolled back, and tried again one event at a time')
  }

  #left(): void {
    this.#pending -= 1
    if (this.#pending === 0) this.#onIdle?.()
  }

  #usable(text: string | undefined): Session {
    const { runtime, item, session } = this.#of
    const name = runtime.config.name
    if (this.#closed !== undefined)
      throw new EvtError('fenced', `cannot use the context of ${item.message.id} in ${name}: ${this.#closed}`)
    if (!session) {
      throw new EvtError('unsupported', `cannot use ctx.sql in ${name}: it declares transaction 'none'`, {
        hint: "declare transaction: 'batch' or 'event'",
      })
    }
    if (text !== undefined && endsTransaction.test(text)) {
      throw new EvtError(
        'refused',
        `cannot run "${text.trim().slice(0, 40)}" in ${name}: the runtime ends the transaction`,
        {
          hint: 'throw to roll back; return to commit',
        },
      )
    }
    this.#count()
    return session
  }
}

const texts = new WeakMap<TemplateStringsArray, string>()

/** `insert into t values (${a}, ${b})` → `insert into t values ($1, $2)`, once for each place in the source. */
function textOf(strings: TemplateStringsArray): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  const text = strings.reduce((sum, part, at) => (at === 0 ? part : `${sum}$${at}${part}`), '')
  texts.set(strings, text)
  return text
}

function logOf({ runtime, item, event }: AttemptOf): HandlerLog {
  const correlation = event.correlationId === undefined ? {} : { correlation: event.correlationId }
  const own = { handler: runtime.config.name, event: item.message.id, ...correlation, attempt: item.attempt }
  return {
    debug: (message, fields) => runtime.log.debug(message, { ...own, ...fields }),
    info: (message, fields) => runtime.log.info(message, { ...own, ...fields }),
    warn: (message, fields) => runtime.log.warn(message, { ...own, ...fields }),
    error: (message, fields) => runtime.log.error(message, { ...own, ...fields }),
  }
}
