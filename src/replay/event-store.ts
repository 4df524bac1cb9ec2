import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import { causedIn } from '../handle/caused.ts'
import type { HandlerSql } from '../handle/handler.ts'
import { createPreparer } from '../handle/prepare.ts'
import { prepareEvent } from '../publish/publisher.ts'
import { openStore, type Store } from '../store/connection.ts'
import { appendEncoded } from '../store/outbox.ts'
import { enterStream, openSubjectReader } from '../store/subject-stream.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** An open transaction: of `pg`, of a service, or `ctx.sql` of a handler. */
export type AppendSql = SqlExecutor | HandlerSql

export interface OpenEventStoreOptions {
  /** A URL, or an open one, which stays open. */
  readonly store: string | Store
  /** Contracts of what is appended and read. */
  readonly registry: Registry
  /** What `source` says when an event does not. Default: 'evt'. */
  readonly source?: string
}

/** An event without what its place in its subject says. */
export type AppendedEvent = Omit<NewEvent, 'subject' | 'sequence' | 'deliverAt'>

/** Subjects as streams of events, numbered from 1 without gaps. */
export interface EventStore {
  /**
   * Adds events behind the last one of a subject, when that one is `expected` (0: there is none yet; 'any': wherever it ends). In `sql`, the
   * caller's transaction, or in one of its own. Of several writers that expect the same one succeeds; the others wait for it, and get
   * EvtError('conflict') that names the actual sequence: nothing of theirs is written, and their transaction can go on. Throws
   * `contract`, `unknown-type` and `too-large` as publishing does. With `ctx.sql` of a handler they are caused by its event, as what it publishes
   * is, and count towards the hop limit. Returns the last sequence and the ids.
   */
  append(
    subject: string,
    expected: bigint | number | 'any',
    events: readonly AppendedEvent[],
    sql?: AppendSql,
  ): Promise<{ readonly sequence: bigint; readonly ids: readonly string[] }>
  /**
   * The appended events of a subject that are committed, in order, from a sequence (default 1) on, decrypted and up-cast. Throws `partial` where
   * retention has removed one, and `contract` for a version that is not known.
   */
  readSubject(subject: string, options?: { readonly from?: bigint | number }): AsyncGenerator<EvtEvent>
  /** Idempotent. */
  close(): Promise<void>
}

const pageSize = 500

/** Connects to a URL at once. Throws `connect`. */
export async function openEventStore({
  store: given,
  registry,
  source = 'evt',
}: OpenEventStoreOptions): Promise<EventStore> {
  const store = typeof given === 'string' ? await openStore(given, { applicationName: 'evt event store' }) : given
  const reader = openSubjectReader(store)
  const preparer = createPreparer({ versions: new Map() }, registry)
  let closed: Promise<void> | undefined

  async function append(sql: SqlExecutor, subject: string, expected: bigint | 'any', events: readonly NewEvent[]) {
    await registry.guard?.load(events, registry.get)
    const last = await enterStream(sql, subject)
    if (expected !== 'any' && last !== expected) throw conflict(subject, expected, last)
    const encoded = events.map((event, n) =>
      prepareEvent({ ...event, sequence: Number(last) + n + 1 }, { registry, source }),
    )
    if (encoded.length > 0) await appendEncoded(sql, encoded).catch((error: unknown) => rethrow(error, subject, last))
    return { sequence: last + BigInt(encoded.length), ids: encoded.map(({ id }) => id) }
  }

  return {
    async append(subject, expected, given, sql) {
      if (subject === '') throw new EvtError('usage', 'cannot append: the subject is empty')
      const at = expected === 'any' ? expected : BigInt(expected)
      const events = given.map((event) => ({ ...event, subject }))
      if (sql) {
        const theirs = events.map((event) => causedIn(sql, event))
        return append(executorOf(sql), subject, at, theirs)
      }
      return store.transaction((own) => append(own, subject, at, events))
    },
    async *readSubject(subject, { from = 1 } = {}) {
      for (let next = BigInt(from); ; ) {
        const page = await reader.read(subject, next, pageSize)
        for (const { sequence, event } of page) {
          if (!event) throw gone(subject, sequence)
          const { id, subject: key, headers, dataText } = event
          const message = { id, key, headers, body: Buffer.from(dataText), topic: 'log', at: '', deliveries: 1 }
          await preparer.load?.([message])
          const prepared = preparer.prepare(message)
          if (prepared.kind === 'bad') throw prepared.thrown
          if (prepared.kind === 'held')
            throw new EvtError(
              'contract',
              `cannot read ${subject} at ${sequence}: ${prepared.heldFor} is not known here`,
              {
                hint: 'deploy the contract of that version',
              },
            )
          yield prepared.event
        }
        const last = page.at(-1)
        if (!last || page.length < pageSize) return
        next = last.sequence + 1n
      }
    },
    close() {
      closed ??= Promise.all([reader.close(), typeof given === 'string' ? store.close() : undefined]).then(() => {})
      return closed
    },
  }
}

/** A handler's `query` answers with the rows themselves. */
function executorOf(sql: AppendSql): SqlExecutor {
  return {
    async query(text, values) {
      const answer = (await sql.query(text, values as unknown[])) as unknown
      const rows = Array.isArray(answer) ? answer : (answer as { readonly rows: unknown }).rows
      return { rows: rows as readonly Record<string, unknown>[] }
    },
  }
}

function conflict(subject: string, expected: bigint, actual: bigint): EvtError {
  return new EvtError('conflict', `cannot append to ${subject} after ${expected}: it is at sequence ${actual}`, {
    hint: 'read what was appended since, and decide anew',
  })
}

/** A transaction with an old snapshot does not see what was appended meanwhile; the key does. */
function rethrow(error: unknown, subject: string, last: bigint): never {
  const { code, cause } = (error ?? {}) as { readonly code?: string; readonly cause?: { readonly code?: string } }
  if (code !== '23505' && cause?.code !== '23505') throw error
  throw new EvtError(
    'conflict',
    `cannot append to ${subject} after ${last}: others have, since this transaction began`,
    {
      hint: 'begin a new transaction',
      cause: error,
    },
  )
}

function gone(subject: string, sequence: bigint): EvtError {
  return new EvtError('partial', `cannot read ${subject} at sequence ${sequence}: retention has removed that event`, {
    hint: 'evt retention restore brings archives back; keep such types longer with `retention.types`',
  })
}
