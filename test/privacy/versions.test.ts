import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent, type EventContract } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createStorePublisher } from '../../src/publish/publisher.ts'
import type { Store } from '../../src/store/connection.ts'
import { runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const first = z.object({ n: z.number() })
const old = defineEvent('thing.made', { 1: first })
const next = defineEvent('thing.made', {
  1: first,
  2: { schema: z.object({ n: z.number(), twice: z.number() }), upcast: ({ n }) => ({ n, twice: 2 * n }) },
})

/** A deployed bridge: what its handler gets, in order. */
async function deploy(url: string, contract: EventContract, more: { readonly ordering?: 'none' } = {}) {
  const seen: { id: string; data: unknown }[] = []
  const handler = defineHandler({
    name: 'things.count',
    on: [contract],
    start: 'earliest',
    ...more,
    handle: (event) => void seen.push({ id: event.id, data: event.data }),
  })
  const bridge = createBridge({ store: url, registry: createRegistry([contract]), handlers: [handler] })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return { seen, bridge }
}

const publish = (store: Store, contract: EventContract, events: readonly object[]) =>
  createStorePublisher({ store, registry: createRegistry([contract]), source: 'test' }).publish(
    store,
    events as { type: string; data: object }[],
  )
const of = (id: string, subject: string, data: object, version?: number) => ({
  id,
  type: 'thing.made',
  subject,
  data,
  ...(version === undefined ? {} : { version }),
})
const held = async (store: Store) =>
  (await store.query('select event_id, held_for from evt.deliveries order by id')).rows.map(({ event_id }) => event_id)

describe('events of a version from the future', () => {
  it('wait when a deploy was rolled back, are listed, and go on in order when the contract is there again', async () => {
    const { store, url } = await createTestDatabase()
    const before = await deploy(url, old)
    await publish(store, next, [of('a1', 's/a', { n: 1, twice: 2 })])
    await publish(store, old, [of('a2', 's/a', { n: 2 }), of('b1', 's/b', { n: 3 })])
    await until(() => before.seen.length === 1)
    await until(async () => (await held(store)).length === 2)
    expect(before.seen.map(({ id }) => id)).toEqual(['b1'])
    const { stdout } = await runHere(['parked', 'list', '--json'], { store: url })
    expect(JSON.parse(stdout).data.parked).toMatchObject([
      { handler: 'things.count', subject: 's/a', head: 'a1', reason: 'contract', waitsFor: 'thing.made@2', events: 2 },
    ])
    expect((await runHere(['parked', 'list'], { store: url })).stdout).toContain('waiting for contract thing.made v2')
    await before.bridge.stop()
    const after = await deploy(url, next)
    await until(() => after.seen.length === 2)
    expect(after.seen).toEqual([
      { id: 'a1', data: { n: 1, twice: 2 } },
      { id: 'a2', data: { n: 2, twice: 4 } },
    ])
    expect((await store.query('select 1 from evt.dead_letters')).rows).toEqual([])
    // The handler has seen the last one before it is committed.
    await until(async () => (await runHere(['parked', 'list'], { store: url })).stdout.includes('nothing waits'))
  })

  it('wait alone where a handler keeps no order', async () => {
    const { store, url } = await createTestDatabase()
    const before = await deploy(url, old, { ordering: 'none' })
    await publish(store, next, [of('a1', 's/a', { n: 1, twice: 2 })])
    await publish(store, old, [of('a2', 's/a', { n: 2 })])
    await until(() => before.seen.length === 1)
    expect(before.seen[0]?.id).toBe('a2')
    await until(async () => (await held(store)).length === 1)
    await before.bridge.stop()
    const after = await deploy(url, next, { ordering: 'none' })
    await until(() => after.seen.length === 1)
    expect(after.seen[0]?.id).toBe('a1')
  })
})

describe('an upcast', () => {
  const broken = (upcast: (data: { n: number }) => unknown) =>
    defineEvent('thing.made', { 1: first, 2: { schema: z.object({ twice: z.number() }), upcast: upcast as never } })
  const deep = (): never => deep()

  it.each<[string, EventContract, RegExp]>([
    [
      'throws',
      broken(() => {
        throw new TypeError('no')
      }),
      /the upcast to v2 threw TypeError: no/,
    ],
    ['never ends', broken(deep), /the upcast to v2 threw RangeError/],
    ['makes something else', broken(() => ({ twice: 'x' })), /cannot accept thing\.made v2: data\.twice/],
    ['makes nothing', broken(() => undefined), /cannot accept thing\.made v2/],
  ])('that %s makes a dead letter that says so, and the next event is handled', async (_, contract, message) => {
    const { store, url } = await createTestDatabase()
    const { seen } = await deploy(url, contract)
    await publish(store, contract, [of('a1', 's/a', { n: 1 }, 1), of('a2', 's/a', { twice: 4 })])
    await until(() => seen.length === 1)
    expect(seen[0]?.id).toBe('a2')
    const dead = async () => (await store.query('select event_id, reason, error_message from evt.dead_letters')).rows
    await until(async () => (await dead()).length === 1)
    expect(await dead()).toMatchObject([
      { event_id: 'a1', reason: 'contract', error_message: expect.stringMatching(message) },
    ])
  })
})

describe('two bridges that do not mean the same by one version', () => {
  it('are named by evt status until one of them is deployed again', async () => {
    const { store, url } = await createTestDatabase()
    const other = defineEvent('thing.made', { 1: z.object({ n: z.string() }) })
    const one = await deploy(url, old)
    const two = await deploy(url, other)
    const drift = async () => JSON.parse((await runHere(['--json'], { store: url })).stdout).data.contractDrift
    await until(async () => (await drift()).length === 1)
    expect(await drift()).toEqual([
      {
        type: 'thing.made',
        version: 1,
        bridges: expect.arrayContaining([[one.bridge.instance], [two.bridge.instance]]),
      },
    ])
    expect((await runHere([], { store: url })).stdout).toContain('thing.made v1 is not the same in')
    await two.bridge.stop()
    await until(async () => (await drift()).length === 0)
    expect((await store.query('select 1 from evt.contracts')).rows.length).toBeGreaterThan(0)
  })
})
