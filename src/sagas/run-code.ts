import type { EncodedEvent } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import { caused, withCause } from '../handle/caused.ts'
import { classify } from '../handle/classify.ts'
import { factsOf } from '../handle/failure.ts'
import type { HandlerSql } from '../handle/handler.ts'
import type { SagaContext } from './saga.ts'
import type { SagaConfig, State } from './saga-config.ts'
import { holderOf, type Turn } from './turn.ts'

export type CodeResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly message: string; readonly isHopeless: boolean }

/** State is a row that is written at every step. */
const mostStateBytes = 1024 * 1024

/**
 * Runs a piece of the saga's code on a copy of its state, which becomes the state when it returns. What it wrote is taken back
 * when it throws. Throws where the code is not to blame: the store went away, or another transaction was in the way.
 */
export async function runCode(
  turn: Turn,
  attempt: number,
  code: (draft: State, ctx: SagaContext) => unknown,
): Promise<CodeResult> {
  const within = openWithin(turn)
  let draft: State | undefined
  try {
    draft = structuredClone(checkedState(turn.config, turn.row.state)) as State
    await code(draft, contextOf(turn, attempt, within))
    const published = await within.settle()
    const state = checkedState(turn.config, draft)
    await turn.guard.sealer?.loadOwners(state, holderOf(turn.row), turn.opened)
    turn.row.state = state
    turn.published.push(...published)
    return { ok: true }
  } catch (thrown) {
    const facts = factsOf(thrown)
    const verdict = classify(thrown, facts, new Set())
    if (verdict === 'transient' || turn.ctx.signal.aborted) throw thrown
    await within.undo()
    const text = `${facts.class}: ${facts.message}`
    const message = turn.guard.discreet(text, { event: turn.event, states: [turn.row.state, draft] })
    return { ok: false, message, isHopeless: verdict === 'hopeless' }
  }
}

/** As JSON, and as the schema has it. Throws EvtError('contract') naming the field. */
export function checkedState(config: Pick<SagaConfig, 'name' | 'schema'>, state: unknown): unknown {
  const refuse = (reason: string) =>
    new EvtError('contract', `cannot keep the state of saga ${config.name}: ${reason}`, {
      hint: 'compare what the step writes with `state` of the definition',
    })
  const text = JSON.stringify(state)
  if (text === undefined) throw refuse('it is nothing that JSON can say')
  const size = Buffer.byteLength(text)
  if (size > mostStateBytes) throw refuse(`it has ${size} bytes, the limit is ${mostStateBytes}`)
  // What comes back from the store, not what was handed in: a Date is a text there.
  const checked = config.schema.safeParse(JSON.parse(text))
  if (checked.success) return checked.data
  const problems = checked.error.issues.map(
    (issue) => `${['state', ...issue.path].map(String).join('.')}: ${issue.message.replace(/^Invalid input: /, '')}`,
  )
  throw refuse(problems.slice(0, 4).join('; '))
}

interface Within {
  readonly sql: HandlerSql
  publish(event: NewEvent): Promise<string>
  /** Waits for what the code did not wait for; throws when nothing could be committed. Returns what it published, in order. */
  settle(): Promise<readonly EncodedEvent[]>
  undo(): Promise<void>
}

/**
 * A savepoint is made with the code's first statement: code without one costs the store nothing. What it publishes is checked at once, and
 * written with the saga's row.
 */
function openWithin({ ctx, config, event: cause, row, prepare }: Turn): Within {
  const pending: Promise<unknown>[] = []
  const published: (EncodedEvent | undefined)[] = []
  let isOpen = false
  let isOver = false
  function begin(): void {
    if (isOpen) return
    isOpen = true
    follow(ctx.sql.query('savepoint evt_saga'))
  }
  function follow<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {})
    pending.push(work)
    return work
  }
  const ofSaga = (event: NewEvent) =>
    caused({ correlationId: row.correlationId, ...(row.tenant === null ? {} : { tenant: row.tenant }), ...event }, [
      cause,
    ])
  async function publish(event: NewEvent): Promise<string> {
    if (isOver) throw new EvtError('fenced', `cannot publish ${event.type} in ${config.name}: its code has returned`)
    // Its place is that of the call, whoever is checked first.
    const place = published.push(undefined) - 1
    const encoded = await prepare(ofSaga(event))
    published[place] = encoded
    return encoded.id
  }
  const template = (strings: TemplateStringsArray, ...values: readonly unknown[]) => {
    begin()
    return follow(ctx.sql(strings, ...values))
  }
  template.query = (text: string, values: readonly unknown[] = []) => {
    begin()
    return follow(ctx.sql.query(text, values))
  }
  return {
    sql: withCause(template as HandlerSql, ofSaga),
    publish: (event) => follow(publish(event)),
    async settle() {
      const failed = (await Promise.allSettled(pending)).some(({ status }) => status === 'rejected')
      isOver = true
      if (isOpen) {
        // Fails when the code swallowed an error and did not go back to a savepoint of its own.
        const released = ctx.sql.query('release savepoint evt_saga')
        if (failed) await released
        else released.catch(() => {})
      }
      return published.filter((one) => one !== undefined)
    },
    async undo() {
      await Promise.allSettled(pending)
      isOver = true
      if (isOpen) await ctx.sql.query('rollback to savepoint evt_saga')
    },
  }
}

function contextOf({ ctx, row }: Turn, attempt: number, { sql, publish }: Within): SagaContext {
  return {
    sql,
    publish,
    get signal() {
      return ctx.signal
    },
    log: ctx.log,
    attempt,
    saga: { id: row.id, name: row.saga, key: row.key, startedAt: row.startedAt },
  }
}
