import type { Example } from '../../src/commands/command.ts'
import { toHeaders } from '../../src/core/codec.ts'
import type { Store } from '../../src/store/connection.ts'
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
  if (need === 'dead-letter') await addDeadLetters(database.store, 7)
  return database
}

/** `count` events that `icons.user-preferences` gave up, of two causes. */
export async function addDeadLetters(store: Store, count: number): Promise<void> {
  const { writeDeadLetter } = await import('../../src/store/write-dead-letter.ts')
  const at = new Date().toISOString()
  for (let n = 0; n < count; n++) {
    const subject = `user/${n}`
    const data = { user_id: String(n), name: n === 0 ? '\u001b[31mred\u0007' : `user ${n}` }
    const event = {
      id: `event-${n}`,
      type: 'user.created',
      version: 2,
      source: 'test',
      time: at,
      subject,
      priority: 'normal',
      metadata: {},
      data,
    } as const
    const error =
      n % 3 === 0
        ? { class: 'TypeError', message: 'plan is undefined' }
        : { class: 'TimeoutError', message: 'took longer than 30s' }
    const attempt = {
      attempt: 1,
      at,
      durationMs: 12,
      instance: 'test',
      ...error,
      stack: `${error.class}\n    at handle (preferences.ts:1:1)`,
    }
    await store.transaction((sql) =>
      writeDeadLetter(sql, {
        handler: 'icons.user-preferences',
        service: 'icons',
        lane: 'icons.user-preferences/0',
        message: {
          id: event.id,
          key: subject,
          headers: toHeaders(event),
          body: Buffer.from(JSON.stringify(data)),
          topic: 'log',
          at: String(n),
          deliveries: 1,
        },
        type: event.type,
        version: 2,
        ordered: true,
        rank: String(n),
        reason: 'retries-exhausted',
        cause: n % 3 === 0 ? '3f2a0000' : 'b1770000',
        earlier: [],
        last: attempt,
        instance: 'test',
      }),
    )
  }
}
