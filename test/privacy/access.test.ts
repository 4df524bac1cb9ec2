import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { defineService } from '../../src/handle/define-service.ts'
import { defineSaga } from '../../src/sagas/define-saga.ts'
import { setAccessText } from '../../src/store/access.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { createTestDatabase } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { until } from '../setup/until.ts'

const created = defineEvent('user.created', { 1: z.object({}) })
const paid = defineEvent('order.paid', { 1: z.object({}) })
const idea = defineEvent('user.imagined', { 1: z.object({}) }, { draft: true })
const registry = createRegistry([created, paid, idea])

const denials = async (store: Store) =>
  (await store.query(`select who, target, affected::int from evt.audit where verb = 'access denied'`)).rows

describe('what a service may publish', () => {
  it('holds for its handlers: what they publish besides is a dead letter at once, and in the audit log', async () => {
    const { store, url } = await createTestDatabase()
    const service = defineService({
      name: 'users',
      contracts: [created, paid],
      publishes: ['user.*'],
      subscribes: ['user.*'],
      handlers: [
        defineHandler({
          name: 'users.greedy',
          on: [created],
          start: 'earliest',
          handle: async (_event, { publish }) => void (await publish({ type: 'order.paid', data: {} })),
        }),
      ],
    })
    const bridge = createBridge({ store: url, services: [service] })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const publisher = createPublisher({ store, registry, source: 'test' })
    await publisher.publish(store, [{ type: 'user.created', data: {} }])
    const dead = async () => (await store.query('select reason, error_message, attempts from evt.dead_letters')).rows
    await until(async () => (await dead()).length === 1)
    expect((await dead())[0]).toMatchObject({
      reason: 'non-retryable',
      error_message: 'cannot publish order.paid: users may publish user.*',
    })
    await until(async () => (await denials(store)).length === 1)
    expect(await denials(store)).toEqual([{ who: 'users', target: 'order.paid', affected: 1 }])
    expect((await store.query(`select 1 from evt.outbox where type = 'order.paid'`)).rows).toEqual([])
  })

  it('holds for createPublisher; the same denial is one row', async () => {
    const { store } = await createTestDatabase()
    const publisher = createPublisher({ store, registry, source: 'users', publishes: ['user.*'] })
    await publisher.publishAll([{ type: 'user.created', data: {} }])
    for (let n = 0; n < 3; n += 1)
      await expect(publisher.publish(store, [{ type: 'order.paid', data: {} }])).rejects.toMatchObject({
        code: 'refused',
      })
    await expect(publisher.publishAll([{ type: 'order.paid', data: {} }])).rejects.toMatchObject({ code: 'refused' })
    expect(await denials(store)).toEqual([{ who: 'users', target: 'order.paid', affected: 4 }])
  })

  it('ends the start of a bridge whose handler subscribes to something else', async () => {
    const { url } = await createTestDatabase()
    const handler = defineHandler({ name: 'users.spy', on: ['order.*'], handle: () => {} })
    const service = defineService({ name: 'users', contracts: [], subscribes: ['user.*'], handlers: [handler] })
    await expect(createBridge({ store: url, services: [service] }).start()).rejects.toMatchObject({
      code: 'config',
      message: 'cannot use handler users.spy: users may not subscribe to order.*',
    })
  })

  it('ends the start of a bridge whose saga begins with, or waits for, something else', async () => {
    const { url } = await createTestDatabase()
    const startWith = (subscribes: readonly string[]) => {
      const saga = defineSaga({
        name: 'users.payment',
        startsOn: created,
        state: z.object({}),
        steps: ({ step }) => [step('pay', { awaits: paid })],
      })
      const service = defineService({
        name: 'users',
        contracts: [created, paid],
        subscribes,
        handlers: [],
        sagas: [saga],
      })
      const bridge = createBridge({ store: url, services: [service] })
      onTestFinished(() => bridge.stop())
      return bridge.start()
    }
    await expect(startWith(['user.*'])).rejects.toMatchObject({
      code: 'config',
      message: 'cannot use saga users.payment: users may not subscribe to order.paid',
      hint: expect.stringContaining('add order.paid to subscribes of defineService'),
    })
    await expect(startWith(['order.*'])).rejects.toMatchObject({ message: expect.stringContaining('user.created') })
    await startWith(['{user,order}.*'])
  })

  it('holds in SQL for the roles that have a rule, in every way to write, and costs nothing without one', async () => {
    const { store } = await createTestDatabase()
    const role = `evt_access_${Date.now()}`
    await store.query(`create role ${role} in role evt_publisher`)
    onTestFinished(async () => void (await store.query(`drop owned by ${role}; drop role ${role}`)))
    const triggers = async () =>
      (await store.query(`select 1 from pg_trigger where tgname ~ '^(outbox|scheduled)_access$' and tgparentid = 0`))
        .rows.length
    const as = (text: string, become = `set local role ${role}`) =>
      store.transaction(async (sql) => {
        await sql.query(become)
        await sql.query(text)
      })
    expect(await triggers()).toBe(0)
    await as(`select evt.publish('order.paid', '{}')`)
    await store.query(setAccessText({ role, patterns: ['user.*'] }))
    expect(await triggers()).toBe(2)
    await as(`select evt.publish('user.created', '{}')`)
    await as(`select evt.publish_at(now() + interval '1 hour', 'user.created', '{}')`)
    const refused = new RegExp(`evt: ${role} may not publish order.paid`)
    await expect(as(`select evt.publish('order.paid', '{}')`)).rejects.toThrow(refused)
    await expect(
      as(`select evt.publish_many('[{"type":"user.created","data":{}},{"type":"order.paid","data":{}}]')`),
    ).rejects.toThrow(refused)
    const columns = '(class, id, type, source, data)'
    const values = `('default', 'x', 'order.paid', 's', '{}')`
    const leaf = (await store.query(`select 'evt.outbox_default_' || to_char(evt.today(), 'YYYYMMDD') as name`)).rows[0]
    // Nor under another role that it may take on, nor until a time has come.
    for (const become of [
      `set local role ${role}`,
      `set local session authorization ${role}`,
      `set local session authorization ${role}; set local role evt_publisher`,
    ]) {
      for (const text of [
        `select evt.publish('order.paid', '{}')`,
        `select evt.publish_at(now(), 'order.paid', '{}')`,
        `insert into evt.outbox ${columns} values ${values}`,
        `insert into evt.scheduled ${columns.replace('(', '(deliver_at, ')} values ${values.replace('(', '(now(), ')}`,
        `select evt.append_events(array['default'], array['x'], array['order.paid'], array[1], array['s'], array[now()], array['o/1'],
          array[evt.enter_stream('o/1') + 1], ${`array[null]::text[], `.repeat(6)} array['normal'], array[null]::json[],
          array['{}']::json[], array[null]::text[], array[null]::bytea[])`,
      ])
        await expect(as(text, become), `${become}: ${text}`).rejects.toThrow(refused)
      const past = `insert into ${leaf?.name} ${columns} values ${values}`
      await expect(as(past, become)).rejects.toThrow(/permission denied/)
    }
    expect((await store.query(`select 1 from evt.outbox where type = 'order.paid' offset 1`)).rows).toEqual([])
    // Who has no rule is not restricted.
    await store.query(`select evt.publish('order.paid', '{}')`)
    await store.query(`select evt.set_access('${role}', array[]::text[], '')`)
    expect(await triggers()).toBe(0)
    await as(`select evt.publish('order.paid', '{}')`)
  })
})

it('denied by SQL, it stands in the log of Postgres, with what was tried, and the hint comes back', async () => {
  const server = await startPrivateServer({ version: 18 })
  onTestFinished(() => server.stop())
  const store = await openStore(server.url, { applicationName: 'evt test', max: 2 })
  onTestFinished(() => store.close())
  await migrateUp(store)
  await store.query('create role shop in role evt_publisher')
  await store.query(setAccessText({ role: 'shop', patterns: ['user.*'] }))
  const tried = store.transaction(async (sql) => {
    await sql.query('set local role shop')
    await sql.query('select evt.publish($1, $2::json)', ['order.paid', '{"card":4711}'])
  })
  const hint = 'it may publish user.*; see `evt access show`'
  await expect(tried).rejects.toMatchObject({ code: 'refused', message: 'evt: shop may not publish order.paid', hint })
  const log = readFileSync(join(server.directory, 'log'), 'utf8')
  for (const line of [
    'ERROR:  evt: shop may not publish order.paid',
    `HINT:  ${hint}`,
    'STATEMENT:  select evt.publish($1, $2::json)',
  ])
    expect(log).toContain(line)
  expect(log).not.toContain('4711')
})

describe('a draft', () => {
  it('is refused, and published where the configuration allows it', async () => {
    const { store } = await createTestDatabase()
    const event = { type: 'user.imagined', data: {} }
    await expect(createPublisher({ store, registry, source: 'test' }).publish(store, [event])).rejects.toMatchObject({
      code: 'refused',
      message: 'cannot publish user.imagined: its contract is a draft',
    })
    await createPublisher({ store, registry, source: 'test', drafts: ['user.*'] }).publish(store, [event])
    expect((await store.query('select type from evt.outbox')).rows).toEqual([{ type: 'user.imagined' }])
  })
})
