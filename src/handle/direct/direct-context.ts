import { createHash } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent, NewEvent } from '../../core/event.ts'
import { caused } from '../caused.ts'
import type { HandlerContext, HandlerLog, HandlerSql } from '../handler.ts'
import type { DirectRuntime } from './direct-runtime.ts'

/** What one attempt works with. */
export interface DirectAttempt {
  readonly runtime: DirectRuntime
  /** One, but for batch handlers. */
  readonly events: readonly EvtEvent[]
  readonly attempt: number
}

/** The context of one attempt, and the means to end it. A class: there is one for every event, and most use one member or none. */
export class DirectContext implements HandlerContext {
  readonly attempt: number
  readonly #of: DirectAttempt
  #closed: string | undefined
  #controller: AbortController | undefined
  #aborted: { readonly reason: unknown } | undefined
  #publishing: Promise<unknown>[] | undefined
  #published = 0

  constructor(of: DirectAttempt) {
    this.#of = of
    this.attempt = of.attempt
  }

  /** A function of its own, so that a handler may take the context apart; it throws when it is used. */
  get sql(): HandlerSql {
    const refuse = () => Promise.reject(this.#noSql())
    return Object.assign(refuse, { query: refuse }) as HandlerSql
  }

  get publish(): HandlerContext['publish'] {
    return (given) => {
      const running = this.#publish(given)
      // A handler that does not wait for it must not end the process; its failure is found all the same.
      running.catch(() => {})
      this.#publishing ??= []
      this.#publishing.push(running)
      return running
    }
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted) this.#controller.abort(this.#aborted.reason)
    return this.#controller.signal
  }

  get log(): HandlerLog {
    const { runtime, events } = this.#of
    const [first] = events
    const own = { handler: runtime.config.name, event: first?.id, attempt: this.attempt }
    const say =
      (level: keyof HandlerLog): HandlerLog[keyof HandlerLog] =>
      (message, fields) =>
        runtime.log[level](message, { ...own, ...fields })
    return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  }

  /** What the handler has published and not waited for; rejects with the first that was not published. */
  static published(context: DirectContext): Promise<unknown> | undefined {
    return context.#publishing && Promise.all(context.#publishing)
  }

  /** From now on `publish` throws; `abort` also fires the signal. */
  static close(context: DirectContext, why: string, abort?: { readonly reason: unknown }): void {
    context.#closed ??= why
    if (!abort) return
    context.#aborted = abort
    context.#controller?.abort(abort.reason)
  }

  async #publish(given: NewEvent): Promise<string> {
    const { runtime, events } = this.#of
    const [event] = events
    const name = runtime.config.name
    if (this.#closed !== undefined || !event)
      throw new EvtError('fenced', `cannot publish in ${name}: ${this.#closed ?? 'there is no event'}`)
    this.#published += 1
    const whole = caused(given, events)
    const id = given.id ?? idOf([name, ...events.map((one) => one.id), String(this.#published)], given)
    return runtime.publish({ ...whole, id })
  }

  #noSql(): EvtError {
    const { runtime } = this.#of
    return new EvtError(
      'unsupported',
      `cannot use ctx.sql in ${runtime.config.name}: it runs over ${runtime.transport.name}, with no store and no transaction`,
      { hint: "effects in one transaction need the stored topology: createBridge({ store: 'postgres://…', … })" },
    )
  }
}

/**
 * The same event published again by the next attempt has the same id, and is known where it arrives; other content is another event. A UUID
 * of version 8.
 */
function idOf(cause: readonly string[], { type, subject, data }: NewEvent): string {
  const content = quietly(() => JSON.stringify([...cause, type, subject ?? null, data]))
  const hex = createHash('sha256').update(content).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** What is no JSON is refused where it is encoded, with a reason. */
function quietly(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
