import type { Example } from '../../src/commands/command.ts'
import { toHeaders } from '../../src/core/codec.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import type { Store } from '../../src/store/connection.ts'
import { writeDeadLetter } from '../../src/store/write-dead-letter.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'

export type Need = NonNullable<Example['needs']>

/** What a command finds; the database is the caller's to dispose of. */
export async function createStoreFor(need: Need): Promise<TestDatabase | undefined> {
  if (need === 'nothing') return undefined
  const database = await createTestDatabase({ max: 3, ...(need === 'empty-store' ? { schema: 'empty' } : {}) })
  if (need === 'application-table') {
    await database.store.query(
      'create table users (id uuid primary key, email text, is_active boolean not null default true)',
    )
  }
  if (need === 'dead-letter') await addDeadLetters(database.store, sevenOfTwoCauses)
  if (need === 'handler') await addHandler(database.store)
  if (need === 'saga') await addStuckSaga(database.store)
  if (need === 'parked') await addParked(database.store)
  return database
}

export type Buried = EvtEvent & {
  readonly handler: string
  readonly error?: { readonly class: string; readonly message: string }
}

const at = new Date().toISOString()
const sevenOfTwoCauses = Array.from(
  { length: 7 },
  (_, n): Buried => ({
    handler: 'icons.user-preferences',
    error:
      n % 3 === 0
        ? { class: 'TypeError', message: 'plan is undefined' }
        : { class: 'TimeoutError', message: 'took longer than 30s' },
    id: `event-${n}`,
    type: 'user.created',
    version: 2,
    source: 'test',
    time: at,
    subject: `user/${n}`,
    priority: 'normal',
    metadata: {},
    data: { user_id: String(n), name: n === 0 ? '\u001b[31mred\u0007' : `user ${n}` },
  }),
)

/** Events that their handler gave up. */
export async function addDeadLetters(store: Store, letters: readonly Buried[]): Promise<void> {
  for (const { handler, error = { class: 'Error', message: 'it was broken' }, ...event } of letters) {
    const attempt = {
      attempt: 1,
      at,
      durationMs: 12,
      instance: 'test',
      ...error,
      stack: `${error.class}\n    at handle (preferences.ts:1:1)`,
    }
    const body = Buffer.from(JSON.stringify(event.data))
    await store.transaction((sql) =>
      writeDeadLetter(sql, {
        handler,
        service: 'icons',
        lane: 'log/0',
        message: {
          id: event.id,
          key: event.subject ?? null,
          headers: toHeaders(event),
          body,
          topic: 'log',
          at: '0',
          deliveries: 1,
        },
        type: event.type,
        version: event.version,
        ordered: true,
        rank: '0',
        reason: 'retries-exhausted',
        cause: error.class === 'TypeError' ? '3f2a0000' : 'b1770000',
        earlier: [],
        last: attempt,
        instance: 'test',
      }),
    )
  }
}

/** That once ran: it has its place in the log. */
async function addHandler(store: Store): Promise<void> {
  await store.query(`insert into evt.groups (name, lanes, start) values ('icons.user-preferences', 16, 0)`)
}

/** Number 1: its second step has failed, of a version that is gone. */
export async function addStuckSaga(store: Store): Promise<void> {
  await store.query(
    `with saga as (
       insert into evt.sagas (saga, key, status, phase, version, plan, stage, steps, state, stuck, correlation_id, started_by)
       values ('accounts.registration', 'ada', 'stuck', 'running', 1, '{"stages": [["profile"], ["mail"]], "sensitive": ["email"]}', 1,
         '{"profile": {"status": "done", "nth": 1, "attempts": 1, "takeAttempts": 0, "undoAttempts": 0, "at": "2026-01-01T00:00:00.000Z"}}',
         '{"userId": "ada", "email": "ada@example.org"}', 'step mail of version 1 is missing in version 2 of the definition', 'c', 'e')
       returning id)
     insert into evt.saga_history (saga_id, what, step, detail, by)
     select id, 'stuck', 'mail', 'step mail of version 1 is missing in version 2 of the definition', 'bridge' from saga`,
  )
}

/** user/1 waits for a contract, with one behind it; user/2 for its next attempt, which is far away. */
export async function addParked(store: Store): Promise<void> {
  await store.query(
    `with events (n, event, subject, held_for, attempts, errors, next_at) as (values
       (1, 'e1', 'user/1', 'user.created@3', 0, '[]'::jsonb, null),
       (2, 'e2', 'user/1', null, 0, '[]', null),
       (3, 'e3', 'user/2', null, 2, '[{"attempt": 2, "at": "2026-01-01T00:00:00.000Z", "durationMs": 3, "class": "TypeError",
         "message": "plan is undefined", "instance": "test"}]', clock_timestamp() + interval '1 hour')
     ), parked as (
       insert into evt.parked_subjects (handler, subject, lane) select distinct 'icons.user-preferences', subject, 'log/0' from events)
     insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, headers, body, attempts, errors, next_at, held_for)
     select 'icons.user-preferences', 'log/0', subject, event, 'user.created', 'log', n::text,
       json_build_object('ce-id', event, 'ce-type', 'user.created', 'ce-evtversion', case when n = 1 then '3' else '2' end),
       '{}', attempts, errors, next_at, held_for
     from events order by n`,
  )
}
