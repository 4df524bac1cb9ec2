import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { BridgeOptions } from '../src/bridge/options.ts'
import { createBridge } from '../src/bridge.ts'
import { defineHandler } from '../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import type { Store } from '../src/store/connection.ts'
import { commit, memoryUrl } from './relay/sinking.ts'
import { createTestDatabase } from './setup/database.ts'
import { until } from './setup/until.ts'

const slow = { withinMs: 30_000 }

function effects(extra: Partial<HandlerDefinition> = {}): HandlerDefinition {
  return defineHandler({
    name: 'test.effects',
    on: ['thing.*'],
    retry: { attempts: 50, initial: '5ms', max: '100ms' },
    async handle(event, { sql }) {
      const { n } = event.data as { n: number }
      await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
    },
    ...extra,
  })
}

async function given() {
  const { store } = await createTestDatabase({ max: 30 })
  await store.query('create table effects (at bigint generated always as identity, id text, subject text, n integer)')
  const sinks = ['a', 'b'].map((name) => ({ name, url: memoryUrl() }))
  const said: { readonly message: string; readonly fields: Record<string, unknown> }[] = []
  const note = (message: string, fields?: object) =>
    void said.push({ message, fields: fields as Record<string, unknown> })
  const log = { debug() {}, info: note, warn: note, error: note }
  /** Committed so far: each subject's events count up over the calls. */
  let committed = 0
  const bridge = async (consume: 'log' | 'a' | 'b' | 'nobody', options: Partial<BridgeOptions> = {}) => {
    const reads = consume === 'log' ? {} : consume === 'nobody' ? { roles: ['relay'] as const } : { consume }
    const handlers = consume === 'nobody' ? [] : [effects()]
    const made = createBridge({ store, handlers, sinks, grace: '2s', log, ...reads, ...options })
    onTestFinished(() => made.stop())
    await made.start()
    return made
  }
  return {
    ...{ store, sinks, said, bridge },
    async commit(count: number) {
      await commit(store, count, { subjects: 10, from: committed })
      committed += count
    },
    /** While no handler runs: in the log and in both sinks. */
    async carried(count: number) {
      const relay = await bridge('nobody')
      await this.commit(count)
      await until(async () => (await least(store, 'evt.sinks')) >= committed, slow)
      await relay.stop()
    },
  }
}

const least = async (store: Store, table: string) =>
  Number((await store.query(`select min(position)::int as least from ${table}`)).rows[0]?.least)
const intakeOf = async (store: Store) =>
  (await store.query(`select intake from evt.handler_places where handler = 'test.effects'`)).rows[0]?.intake
const count = async (store: Store, table: string) =>
  Number((await store.query(`select count(*) as n from ${table}`)).rows[0]?.n)

/** Each once, and those of a subject in their order. */
async function expectAll(store: Store, expected: number): Promise<void> {
  await until(async () => (await count(store, 'effects')) >= expected, slow)
  const { rows } = await store.query('select id, subject, n from effects order by at')
  expect(rows).toHaveLength(expected)
  expect(new Set(rows.map(({ id }) => id)).size).toBe(expected)
  for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
    expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
}

describe('a handler that is moved', () => {
  it.each([
    ['log', 'a'],
    ['a', 'log'],
    ['a', 'b'],
  ] as const)('from %s to %s has what waited in the old one, and what comes in the new one', async (from, to) => {
    const { store, bridge, said, ...scene } = await given()
    const before = await bridge(from)
    await scene.commit(100)
    await expectAll(store, 100)
    await before.stop()
    await scene.carried(100)
    await bridge(to)
    await scene.commit(100)
    await expectAll(store, 300)
    await until(async () => (await intakeOf(store)) === to, slow)
    await scene.commit(100)
    await expectAll(store, 400)
    await until(() => said.some(({ message }) => message.startsWith('handlers move from')))
  })

  it('goes to a sink and back, again and again', async () => {
    const { store, bridge, commit } = await given()
    for (const [i, to] of (['log', 'a', 'log', 'a'] as const).entries()) {
      const made = await bridge(to)
      await commit(50)
      await expectAll(store, 50 * (i + 1))
      await until(async () => (await intakeOf(store)) === to, slow)
      await made.stop()
    }
  })

  it('waits until bridges that run it over the old one are gone, one after the other', async () => {
    const { store, bridge, commit, said } = await given()
    const old = [await bridge('a'), await bridge('a')]
    await commit(100)
    const anew = [await bridge('b')]
    await commit(100)
    await expectAll(store, 200)
    expect(await intakeOf(store)).toBe('a')
    expect(said.filter(({ message }) => message.startsWith('a handler waits'))).toHaveLength(1)
    await old[0]?.stop()
    anew.push(await bridge('b'))
    await commit(100)
    await old[1]?.stop()
    await commit(100)
    await until(async () => (await intakeOf(store)) === 'b', slow)
    await commit(100)
    await expectAll(store, 500)
  })

  it('stays with the log while a subject is parked there, and goes when it has recovered', async () => {
    const { store, bridge, commit } = await given()
    let isBroken = true
    const inner = effects()
    const failing = effects({
      async handle(event, context) {
        if (isBroken && event.subject === 's3') throw new Error('not yet')
        await inner.handle(event, context)
      },
    })
    const first = await bridge('log', { handlers: [failing] })
    await commit(50)
    await until(async () => (await count(store, 'effects')) === 45, slow)
    await first.stop()
    await bridge('a', { handlers: [failing] })
    await commit(50)
    await until(async () => (await count(store, 'effects')) === 90, slow)
    expect(await intakeOf(store)).toBe('log')
    isBroken = false
    await until(async () => (await intakeOf(store)) === 'a', slow)
    await commit(50)
    await expectAll(store, 150)
  })

  it('takes what is parked in a sink along to the log', async () => {
    const { store, bridge, commit } = await given()
    const inner = effects()
    const failing = effects({
      retry: { attempts: 50, initial: '1s', max: '1s' },
      async handle(event, context) {
        if (event.subject === 's3') throw new Error('not yet')
        await inner.handle(event, context)
      },
    })
    const first = await bridge('a', { handlers: [failing] })
    await commit(50)
    await until(async () => (await count(store, 'evt.deliveries')) === 5, slow)
    await until(async () => (await count(store, 'effects')) === 45, slow)
    await first.stop()
    await bridge('log')
    await commit(50)
    await expectAll(store, 100)
  })

  it('does not run again what was given up in the sink', async () => {
    const { store, bridge, commit } = await given()
    const inner = effects()
    const failing = effects({
      retry: { attempts: 1 },
      async handle(event, context) {
        const { n } = event.data as { n: number }
        if (n === 2 && event.subject === 's3') throw new Error('never')
        await inner.handle(event, context)
      },
    })
    const first = await bridge('a', { handlers: [failing] })
    await commit(50)
    await until(async () => (await count(store, 'evt.dead_letters')) === 1, slow)
    await until(async () => (await count(store, 'effects')) === 49, slow)
    await first.stop()
    await bridge('log')
    await commit(50)
    await until(async () => (await count(store, 'effects')) >= 99, slow)
    expect(await count(store, 'effects')).toBe(99)
  })

  it('goes on where it was killed on its way, again and again', async () => {
    const { store, sinks, bridge, ...scene } = await given()
    const first = await bridge('b')
    await scene.commit(50)
    await until(async () => (await count(store, 'effects')) === 50, slow)
    await first.stop()
    await scene.carried(300)
    for (const consume of ['a', 'log', 'a', 'b', 'a']) {
      const effectsBefore = await count(store, 'effects')
      const env = {
        ...process.env,
        BRIDGE: JSON.stringify({ url: store.connectionString, sinks, consume, delayMs: 5 }),
      }
      const child = spawn(process.execPath, [new URL('./moving-process.ts', import.meta.url).pathname], {
        env,
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      await until(async () => (await count(store, 'effects')) >= effectsBefore + 20, slow)
      await scene.commit(20)
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await bridge('a')
    await expectAll(store, 450)
    await until(async () => (await intakeOf(store)) === 'a', slow)
  }, 120_000)

  it('keeps the log for what it may not have passed in a sink, until it is removed', async () => {
    const { store, bridge, commit } = await given()
    const made = await bridge('a')
    await commit(10)
    await expectAll(store, 10)
    const needs = `evt.needs where who = 'handler test.effects (over a sink)'`
    expect(await count(store, needs)).toBe(1)
    await made.stop()
    const { findReader, removeReader } = await import('../src/store/decommission.ts')
    await until(async () => {
      const reader = await findReader(store, 'test.effects')
      return removeReader(store, reader).then(
        () => true,
        () => false,
      )
    }, slow)
    expect(await count(store, needs)).toBe(0)
  })

  it('sees nothing in the log that is older than itself', async () => {
    const { store, bridge, ...scene } = await given()
    await scene.carried(100)
    const made = await bridge('a')
    await made.stop()
    await bridge('log')
    await scene.commit(10)
    await until(async () => (await count(store, 'effects')) >= 10, slow)
    expect(await count(store, 'effects')).toBe(10)
  })
})
