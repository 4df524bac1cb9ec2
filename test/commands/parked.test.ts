import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { type BridgeOptions, createBridge, createRegistry, defineEvent, defineHandler } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { replayDeadLetters } from '../../src/store/redrive.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { type Ran, runHere } from './evt.ts'

const old = defineEvent('thing.made', { 1: z.object({ n: z.number() }) })
const next = defineEvent('thing.made', {
  1: z.object({ n: z.number() }),
  2: { schema: z.object({ n: z.number() }), upcast: (data) => data },
})

async function openPlace() {
  const { store, url } = await createTestDatabase()
  const evt = (...words: string[]): Promise<Ran> => runHere(words, { store: url })
  async function deploy(options: Omit<BridgeOptions, 'store'>) {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const bridge = createBridge({ store: url, log, grace: '2s', ...options })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    return bridge
  }
  const publish = (id: string, subject: string, version = 1) =>
    store.query('select evt.publish($1, $2, $3, version => $4, id => $5)', [
      'thing.made',
      '{"n": 1}',
      subject,
      version,
      id,
    ])
  return { store, evt, deploy, publish }
}

const counting = (contract: typeof old | typeof next, seen: string[], more: object = {}) =>
  defineHandler({
    name: 'things.count',
    on: [contract],
    start: 'earliest',
    handle: (event) => void seen.push(event.id),
    ...more,
  })

const deadIn = async (store: Store) =>
  (await store.query('select event_id, reason, status, error_code from evt.dead_letters order by id')).rows
const audited = async (store: Store) =>
  (await store.query(`select verb, target, reason, affected::int from evt.audit where verb like 'parked%' order by id`))
    .rows

describe('evt parked', () => {
  it('skip lets go on what waited for a contract; the event lies in the dead letters and can be replayed', async () => {
    const { store, evt, deploy, publish } = await openPlace()
    const seen: string[] = []
    const before = await deploy({ registry: createRegistry([old]), handlers: [counting(old, seen)] })
    await publish('a1', 's/a', 2)
    await publish('a2', 's/a')
    await until(async () => (await store.query('select 1 from evt.deliveries')).rows.length === 2)
    expect(await evt('parked', 'skip', 's/a')).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining('things.count s/a: thing.made waiting for contract thing.made v2'),
    })
    // Trying changes nothing while nobody knows the version.
    expect(await evt('parked', 'retry', 'a1', '--yes')).toMatchObject({ exit: 0 })
    await until(
      async () => (await store.query('select 1 from evt.deliveries where held_for is not null')).rows.length === 1,
    )
    expect(await evt('parked', 'skip', 's/a', '--yes', '--reason', 'too late')).toMatchObject({ exit: 0 })
    await until(() => seen.length === 1)
    expect(seen).toEqual(['a2'])
    expect(await deadIn(store)).toEqual([
      { event_id: 'a1', reason: 'skipped', status: 'open', error_code: 'unknown-type' },
    ])
    expect(await audited(store)).toEqual([
      { verb: 'parked retry', target: 'a1', reason: null, affected: 1 },
      { verb: 'parked skip', target: 's/a', reason: 'too late', affected: 1 },
    ])
    await until(async () => (await evt('parked', 'list')).stdout.includes('nothing waits'))
    await before.stop()
    await deploy({ registry: createRegistry([next]), handlers: [counting(next, seen)] })
    const [letter] = (await store.query('select id::text from evt.dead_letters')).rows
    await replayDeadLetters(store, { ids: [String(letter?.id)], replayId: 'again', by: 'test' })
    await until(() => seen.length === 2)
    expect(seen).toEqual(['a2', 'a1'])
  })

  it('retry tries at once what would be tried in an hour, and keeps the order', async () => {
    const { store, evt, deploy, publish } = await openPlace()
    const seen: string[] = []
    let isBroken = true
    const handle = ({ id }: { readonly id: string }) => {
      if (isBroken) throw new TypeError('not yet')
      seen.push(id)
    }
    const retry = { attempts: 5, backoff: 'fixed', initial: '1h', max: '1h' }
    await deploy({ registry: createRegistry([old]), handlers: [counting(old, seen, { handle, retry })] })
    for (const id of ['a1', 'a2']) await publish(id, 's/a')
    await until(async () => (await store.query('select 1 from evt.deliveries')).rows.length === 2)
    isBroken = false
    const { stdout } = await evt('parked', 'retry', '--all', '--yes', '--json')
    expect(JSON.parse(stdout).data).toMatchObject({
      retried: [{ subject: 's/a', head: 'a1', reason: 'retry' }],
      left: [],
    })
    await until(() => seen.length === 2)
    expect(seen).toEqual(['a1', 'a2'])
    expect(await deadIn(store)).toEqual([])
  })

  it('skip and retry end what a handler blocks on: without its dead letter, and with it', async () => {
    const { store, evt, deploy, publish } = await openPlace()
    const seen: string[] = []
    let isBroken = true
    const handle = ({ id }: { readonly id: string }) => {
      if (isBroken && id.endsWith('1')) throw new TypeError('never')
      seen.push(id)
    }
    const more = { handle, afterDead: 'block', retry: { attempts: 1 }, breaker: false }
    await deploy({ registry: createRegistry([old]), handlers: [counting(old, seen, more)] })
    for (const id of ['a1', 'a2', 'b1', 'b2']) await publish(id, `s/${id[0]}`)
    const blocked = async () => (await store.query('select 1 from evt.deliveries where next_at is null')).rows.length
    await until(async () => (await deadIn(store)).length === 2 && (await blocked()) === 2)
    expect(await evt('parked', 'skip', 's/a', '--yes')).toMatchObject({ exit: 0 })
    await until(() => seen.length === 1)
    isBroken = false
    expect(await evt('parked', 'retry', 's/b', '--yes')).toMatchObject({ exit: 0 })
    await until(() => seen.length === 3)
    expect(seen).toEqual(['a2', 'b1', 'b2'])
    await until(async () => (await deadIn(store)).some(({ status }) => status === 'replayed'))
    expect((await deadIn(store)).map(({ event_id, status }) => [event_id, status])).toEqual(
      expect.arrayContaining([
        ['a1', 'open'],
        ['b1', 'replayed'],
      ]),
    )
  })

  it('leaves what is being tried, and says so; refuses what is not there', async () => {
    const { store, evt, deploy, publish } = await openPlace()
    const started = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    onTestFinished(() => release.resolve())
    let tries = 0
    async function handle(): Promise<void> {
      tries += 1
      if (tries === 1) throw new TypeError('once')
      started.resolve()
      await release.promise
    }
    const retry = { attempts: 5, backoff: 'fixed', initial: '1ms', max: '1ms' }
    const handlers = [counting(old, [], { handle, retry, ordering: 'none' })]
    await deploy({ registry: createRegistry([old]), handlers })
    await publish('a1', 's/a')
    await started.promise
    const { exit, stdout } = await evt('parked', 'skip', 'a1', '--yes', '--json')
    expect({ exit, data: JSON.parse(stdout).data }).toMatchObject({
      exit: 5,
      data: { skipped: [], left: [{ head: 'a1', why: 'an attempt of it is under way' }] },
    })
    release.resolve()
    await until(async () => (await store.query('select 1 from evt.deliveries')).rows.length === 0)
    for (const [words, says] of [
      [['skip', 'a1', '--yes'], 'nothing parked has that subject or event'],
      [['retry'], '--all'],
      [['retry', 'a1', '--all'], 'give one of them'],
    ] as const)
      expect(await evt('parked', ...words)).toMatchObject({ exit: 2, stderr: expect.stringContaining(says) })
  })
})
