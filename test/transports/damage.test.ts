import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { listDeadLetters } from '../../src/store/dead-letters.ts'
import { planReplay, replayDeadLetters } from '../../src/store/redrive.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { allowAnyType } from '../store/any-type.ts'

/** Loses the pieces of all long values, as a bad disk does: reading one fails from now on. */
async function damage(store: Store): Promise<void> {
  const { rows } = await store.query(
    `select t.oid, t.oid::regclass::text as name from pg_class c join pg_class t on t.oid = c.reltoastrelid
     where c.oid in (select tableoid from evt.outbox)`,
  )
  for (const { oid, name } of rows) {
    await store.query(`update pg_class set relkind = 'r' where oid = $1`, [oid])
    await store.query(`delete from ${name}`)
    await store.query(`update pg_class set relkind = 't' where oid = $1`, [oid])
  }
  const isRead = () => store.query('select md5(type || data::text) from evt.outbox').then(Boolean, () => false)
  // Long values are read whatever has been deleted: their pieces have to be gone.
  await until(async () => {
    for (const { name } of rows) await store.query(`vacuum ${name}`)
    return !(await isRead())
  })
}

async function start(url: string, handled: string[], errors: string[]): Promise<void> {
  const handler = (name: string, on: string) =>
    defineHandler({
      name,
      on: [on],
      start: 'earliest',
      handle: async (event) => void handled.push(`${name} ${event.id}`),
    })
  const bridge = createBridge({
    store: url,
    handlers: [handler('test.users', 'user.*'), handler('test.things', 'thing.*')],
    registry: createRegistry([]),
    log: { debug() {}, info() {}, warn() {}, error: (_, fields) => void errors.push(JSON.stringify(fields)) },
  })
  onTestFinished(() => bridge.stop())
  await bridge.start()
}

const long = () => randomBytes(20_000).toString('base64')

describeServers('an event whose row is damaged', (server) => {
  it('is a dead letter of the handlers that want its type, with what can be read of it; the others go on', async () => {
    const { url, store } = await createTestDatabase({ server })
    for (const id of ['a', 'b', 'c'])
      await store.query(`select evt.publish('user.created', to_json($2::text), 'user/1', id => $1)`, [
        id,
        id === 'b' ? long() : 'short',
      ])
    await damage(store)
    const [handled, errors]: [string[], string[]] = [[], []]
    await start(url, handled, errors)
    const dead = await until(async () => (await listDeadLetters(store))[0])
    await until(() => handled.length === 2)
    expect(handled).toEqual(['test.users a', 'test.users c'])
    expect(dead).toMatchObject({
      handler: 'test.users',
      eventId: 'b',
      type: 'user.created',
      subject: 'user/1',
      position: '2',
      reason: 'undecodable',
      error: {
        message: expect.stringMatching(
          /^cannot read the event at position 2 in evt.outbox_default_\d+: data \(.*toast value/,
        ),
      },
    })
    expect(errors.some((text) => text.includes('position 2'))).toBe(true)
    expect(await listDeadLetters(store)).toHaveLength(1)
  })

  it('and whose type is lost is one dead letter of nobody, which no replay touches', async () => {
    const { url, store } = await createTestDatabase({ server })
    await allowAnyType(store)
    for (const id of ['a', 'b', 'c'])
      await store.query(`select evt.publish($2, '{"n": 1}', 'user/1', id => $1)`, [
        id,
        `user.${id === 'b' ? long() : id}`,
      ])
    await damage(store)
    const [handled, errors]: [string[], string[]] = [[], []]
    await start(url, handled, errors)
    await until(() => handled.length === 2)
    expect(handled).toEqual(['test.users a', 'test.users c'])
    const dead = await listDeadLetters(store)
    expect(dead).toMatchObject([
      {
        handler: 'evt.log',
        eventId: 'b',
        type: 'unknown',
        position: '2',
        reason: 'unreadable',
        topic: 'log',
        error: { message: expect.stringContaining('type (') },
      },
    ])
    expect(Buffer.from(dead[0]?.body ?? '').toString()).toBe('{"n": 1}')
    expect(await planReplay(store, {})).toEqual([])
    const ids = dead.map(({ id }) => id)
    expect(await replayDeadLetters(store, { ids, replayId: 'x', by: 'ada' })).toEqual({ replayed: [], left: ids })
  })

  it('is a dead letter too when it was damaged between two attempts', async () => {
    const { url, store } = await createTestDatabase({ server })
    const handled: string[] = []
    const handler = defineHandler({
      name: 'test.retrying',
      on: ['*'],
      start: 'earliest',
      retry: { attempts: 1000, backoff: 'fixed', initial: '50ms', max: '50ms' },
      async handle(event) {
        if (event.id === 'b') throw new Error('not yet')
        handled.push(event.id)
      },
    })
    const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await store.query(`select evt.publish('user.created', to_json($1::text), 'user/1', id => 'b')`, [long()])
    await store.query(`select evt.publish('user.created', '1', 'user/1', id => 'c')`)
    await until(async () => (await store.query('select from evt.deliveries')).rows.length === 2)
    await damage(store)
    const [dead] = await until(async () => {
      const found = await listDeadLetters(store)
      return found.length > 0 ? found : undefined
    })
    expect(dead).toMatchObject({ handler: 'test.retrying', eventId: 'b', reason: 'undecodable' })
    expect(dead?.error.message).toContain('cannot read the event at position 1 in evt.outbox')
    await until(() => handled.length === 1)
    expect(handled).toEqual(['c'])
  })
})
