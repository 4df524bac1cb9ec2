import { expect, onTestFinished, test } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { deliverDue, readScheduled } from '../../src/store/scheduled.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { noted } from './noted.ts'

const registry = createRegistry([noted])
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString()
const note = (text: string, deliverAt?: string) => ({
  type: 'note.written',
  subject: 'note/1',
  data: { text },
  ...(deliverAt === undefined ? {} : { deliverAt }),
})

describeServers('deliverAt', (server) => {
  async function open() {
    const { store, url } = await createTestDatabase({ server, max: 8 })
    const publisher = createPublisher({ store, registry, source: 'test' })
    onTestFinished(() => publisher.close())
    const ids = async () => (await store.query('select id from evt.outbox order by seq')).rows.map((row) => row.id)
    return { store, url, publisher, ids }
  }

  test('holds an event in the store until its time, and a bridge delivers it then', async () => {
    const { store, url, publisher } = await open()
    const seen: [string, number][] = []
    const handler = defineHandler({
      name: 'test.seen',
      on: ['note.written'],
      start: 'earliest',
      handle: async (event) => void seen.push([(event.data as { text: string }).text, Date.now()]),
    })
    const dueMs = Date.now() + 1_000
    await publisher.publish(store, [
      note('later', new Date(dueMs).toISOString()),
      note('now'),
      note('past', inMs(-1_000)),
    ])
    expect(await readScheduled(store)).toEqual({ events: 1, next: new Date(dueMs).toISOString() })
    const bridge = createBridge({ store: url, registry, handlers: [handler] })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await until(() => seen.length === 3)
    expect(seen.map(([text]) => text)).toEqual(['now', 'past', 'later'])
    expect(seen[2]?.[1]).toBeGreaterThanOrEqual(dueMs)
    expect(await readScheduled(store)).toEqual({ events: 0, next: null })
  })

  test('is seen neither when its transaction is rolled back nor twice when many look at once', async () => {
    const { store, publisher, ids } = await open()
    const undone = store.transaction(async (sql) => {
      await publisher.publish(sql, [note('undone', inMs(5))])
      throw new Error('rolled back')
    })
    await expect(undone).rejects.toThrow('rolled back')
    const given = await publisher.publish(
      store,
      Array.from({ length: 200 }, (_, n) => note(String(n), inMs(50 + (n % 2)))),
    )
    await until(async () => {
      await Promise.all(Array.from({ length: 4 }, () => deliverDue(store, 30, 'test')))
      return (await ids()).length >= 200
    })
    const even = given.filter((_, n) => n % 2 === 0)
    // In the order of their times, and within one time as they were published.
    expect((await ids()).filter((id) => even.includes(id as string))).toEqual(even)
    expect((await ids()).toSorted()).toEqual(given.toSorted())
  })

  test('moves it with everything it has, and from SQL too', async () => {
    const { store, publisher } = await open()
    const whole = {
      ...note('a', inMs(5)),
      id: 'mine',
      sequence: 3,
      tenant: 't',
      correlationId: 'c',
      causationId: 'd',
      actor: { userId: 'u', sessionId: 's' },
      priority: 'high' as const,
      metadata: { k: 1 },
    }
    await publisher.publish(store, [whole])
    const { deliverAt: _, ...now } = whole
    await publisher.publish(store, [{ ...now, id: 'direct' }])
    await store.query(
      `select evt.publish_at(clock_timestamp(), 'note.written', '{"text":"sql"}', 'note/2', id => 'sql')`,
    )
    await until(async () => (await deliverDue(store, 10, 'test')).nextMs === undefined)
    const columns =
      'version, source, subject, sequence, tenant, correlation_id, causation_id, user_id, session_id, priority, metadata::text, data::text, checksum, class'
    const row = async (id: string) =>
      (await store.query(`select ${columns} from evt.outbox where id = $1`, [id])).rows[0]
    expect(await row('mine')).toEqual(await row('direct'))
    expect(await row('sql')).toMatchObject({ subject: 'note/2', data: '{"text":"sql"}' })
  })

  test('refuses at once, from SQL too, what could not be published when its time has come', async () => {
    const { store } = await open()
    await expect(store.query(`select evt.publish_at(clock_timestamp(), 'Bad Type!', '{}')`)).rejects.toMatchObject({
      code: 'contract',
    })
    await expect(
      store.query(`select evt.publish_at(clock_timestamp(), 'note.written', '{}', class => 'nope')`),
    ).rejects.toThrow(/scheduled_class/)
    expect(await readScheduled(store)).toEqual({ events: 0, next: null })
  })

  test('makes a dead letter of one that cannot be published, whole, and delivers the others', async () => {
    const { store, ids } = await open()
    await store.query(`create function refuse() returns trigger language plpgsql as $$
      begin if new.id = 'bad' then raise exception 'no %', new.id; end if; return new; end $$`)
    await store.query('create trigger refuse before insert on evt.outbox for each row execute function refuse()')
    const at = (id: string, more = '') =>
      store.query(
        `select evt.publish_at(clock_timestamp(), 'note.written', '{"n":12345678901234567890}', 'note/1', id => $1, source => 'shop'${more})`,
        [id],
      )
    await at('one')
    await at('bad', `, tenant => 't', sequence => 3, metadata => '{"k":1}', "time" => '2026-01-02T03:04:05Z'`)
    await at('two')
    expect(await deliverDue(store, 10, 'test')).toMatchObject({ delivered: 2, refused: 1 })
    expect(await ids()).toEqual(['one', 'two'])
    const { rows } = await store.query(`select handler, event_id, type, subject, reason, error_code, error_message,
      convert_from(body, 'UTF8') as body, headers->>'ce-time' as time, headers->>'ce-tenant' as tenant, headers->>'ce-sequence' as sequence
      from evt.dead_letters`)
    expect(rows).toEqual([
      {
        handler: 'publisher:shop',
        event_id: 'bad',
        type: 'note.written',
        subject: 'note/1',
        reason: 'publish',
        error_code: 'P0001',
        error_message: 'no bad',
        body: '{"n":12345678901234567890}',
        time: '2026-01-02T03:04:05.000Z',
        tenant: 't',
        sequence: '3',
      },
    ])
    expect(await readScheduled(store)).toEqual({ events: 0, next: null })
  })

  test('waits, and buries nothing, while the day has no partition', async () => {
    const { store, ids } = await open()
    await store.query(`select evt.publish_at(clock_timestamp(), 'note.written', '{}', id => 'one')`)
    await store.query(`alter table evt.outbox detach partition evt.outbox_default`)
    await expect(deliverDue(store, 10, 'test')).rejects.toThrow(/no partition/)
    await store.query(`alter table evt.outbox attach partition evt.outbox_default for values in ('default')`)
    await deliverDue(store, 10, 'test')
    expect(await ids()).toEqual(['one'])
  })

  test('refuses a time that is none', async () => {
    const { store, publisher } = await open()
    await expect(publisher.publish(store, [note('a', 'tomorrow')])).rejects.toMatchObject({ code: 'contract' })
  })

  test('is known by its id while it is held; what came under it before its time is told to its publisher', async () => {
    const { store, publisher } = await open()
    const held = { ...note('first', inMs(600_000)), id: 'd1' }
    expect(await publisher.send(held)).toMatchObject({ state: 'stored' })
    expect(await publisher.send(held)).toMatchObject({ state: 'duplicate' })
    const other = await publisher.send({ ...note('other'), id: 'd1' })
    expect(other).toMatchObject({ state: 'refused', error: { code: 'conflict' } })
    await store.query(`select evt.publish('note.written', '{"text":"by SQL"}', id => 'd1')`)
    const lease = await acquireLease(store, 'test', 60_000)
    await tick(store, lease?.epoch ?? 0n, 100)
    await store.query('update evt.scheduled set deliver_at = now()')
    expect(await deliverDue(store, 10, 'test')).toMatchObject({ delivered: 0, refused: 1 })
    const { rows } = await store.query("select event_id, error_code from evt.dead_letters where error_code = 'EV002'")
    expect(rows).toEqual([{ event_id: 'd1', error_code: 'EV002' }])
  })
})
