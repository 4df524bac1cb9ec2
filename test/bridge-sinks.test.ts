import { describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../src/bridge.ts'
import type { SinkOptions } from '../src/core/sinks-and-sources.ts'
import { defineHandler } from '../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import type { Store } from '../src/store/connection.ts'
import { commit, memoryUrl } from './relay/sinking.ts'
import { createTestDatabase } from './setup/database.ts'
import { until } from './setup/until.ts'

const retry = { attempts: 3, initial: '5ms', max: '20ms' } as const

function effects(extra: Partial<HandlerDefinition> = {}): HandlerDefinition {
  return defineHandler({
    name: 'test.effects',
    on: ['*'],
    start: 'earliest',
    retry,
    async handle(event, { sql }) {
      const { n } = event.data as { n: number }
      await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
    },
    ...extra,
  })
}

interface Given {
  readonly store: Store
  readonly url: string
  readonly handlers?: readonly HandlerDefinition[]
  readonly sink?: Partial<SinkOptions>
}

async function start({ store, url, handlers = [effects()], sink = {} }: Given) {
  const sinks = [{ name: 'out', url, start: 'earliest', ...sink } as const]
  const bridge = createBridge({ store, handlers, sinks, consume: 'out', grace: '2s' })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return bridge
}

const withEffects = async () => {
  const { store } = await createTestDatabase({ max: 20 })
  await store.query('create table effects (at bigint generated always as identity, id text, subject text, n integer)')
  return store
}
const rowsOf = async (store: Store) =>
  (await store.query('select id, subject, n from effects order by at')).rows as {
    id: string
    subject: string
    n: number
  }[]

function expectOrder(rows: readonly { readonly subject: string; readonly n: number }[]): void {
  for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
    expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
}

describe('handlers over a sink', () => {
  it('have each event once, in order, with times that count from the commit', async () => {
    const store = await withEffects()
    const bridge = await start({ store, url: memoryUrl() })
    await commit(store, 500, { subjects: 20 })
    await until(async () => (await rowsOf(store)).length === 500)
    expectOrder(await rowsOf(store))
    const [handler] = bridge.stats().handlers
    expect(handler).toMatchObject({ handled: 500, skipped: 0 })
    const [sink] = bridge.stats().sinks
    expect(sink).toMatchObject({ sink: 'out', carried: 500, dead: 0, position: '500', lagEvents: 0 })
    // Nothing of it is settled in the log: the broker knows where they are.
    expect((await store.query('select from evt.lanes')).rows).toHaveLength(0)
  })

  it('keep the order of a subject while one of it fails and waits', async () => {
    const store = await withEffects()
    const failed = new Set<string>()
    const inner = effects()
    const handler = effects({
      async handle(event, context) {
        const { n } = event.data as { n: number }
        if (n % 4 === 2 && !failed.has(event.id)) {
          failed.add(event.id)
          throw new Error('not yet')
        }
        await inner.handle(event, context)
      },
    })
    const bridge = await start({ store, url: memoryUrl(), handlers: [handler] })
    await commit(store, 400, { subjects: 10 })
    await until(async () => (await rowsOf(store)).length === 400, { withinMs: 20_000 })
    expectOrder(await rowsOf(store))
    expect(failed.size).toBe(100)
    expect(bridge.stats().handlers[0]).toMatchObject({ handled: 400, dead: 0 })
    await until(async () => (await store.query('select from evt.parked_subjects')).rows.length === 0)
  })

  it('leave dead letters, which a replay brings to the handler', async () => {
    const store = await withEffects()
    let broken = true
    const inner = effects()
    const handler = effects({
      async handle(event, context) {
        if (broken && (event.data as { n: number }).n === 3) throw new Error('cannot do three')
        await inner.handle(event, context)
      },
    })
    await start({ store, url: memoryUrl(), handlers: [handler] })
    await commit(store, 50, { subjects: 5 })
    await until(async () => (await store.query('select from evt.dead_letters')).rows.length === 5, { withinMs: 20_000 })
    await until(async () => (await rowsOf(store)).length === 45)
    broken = false
    const { replayDeadLetters } = await import('../src/store/redrive.ts')
    const { rows } = await store.query('select id from evt.dead_letters')
    await replayDeadLetters(store, { ids: rows.map(({ id }) => String(id)), replayId: 'r', by: 'test' })
    await until(async () => (await rowsOf(store)).length === 50)
  })

  it('read the topics of their types where each type has one', async () => {
    const store = await withEffects()
    const handler = effects({ on: ['user.created', 'user.deleted'] })
    await start({ store, url: memoryUrl(), handlers: [handler], sink: { layout: 'per-type', prefix: 'events:' } })
    await commit(store, 20, { type: 'user.created' })
    await commit(store, 20, { type: 'user.updated' })
    await until(async () => (await rowsOf(store)).length === 20)
  })

  it.each([
    [{ consume: 'nowhere' }, 'no sink of that name'],
    [{ consume: 'out', sinks: [{ name: 'out', url: 'memory://', dialect: 'icons' }] }, 'handlers read CloudEvents'],
    [
      { consume: 'out', sinks: [{ name: 'out', url: 'memory://', rename: { 'a.*': 'b.*' }, patterns: ['a.*'] }] },
      'its types have other names there',
    ],
    [
      { consume: 'out', sinks: [{ name: 'out', url: 'memory://', layout: 'per-type' as const }] },
      'which types test.effects wants',
    ],
    [
      {
        sinks: [
          { name: 'a', url: 'memory://' },
          { name: 'a', url: 'memory://' },
        ],
      },
      'two of that name',
    ],
    [{ sinks: [{ name: 'a', url: 'memory://', patterns: ['user.{'] }] }, 'cannot use sink a'],
  ])('refuse what cannot be: %j', async (given, problem) => {
    const { store } = await createTestDatabase()
    const bridge = createBridge({ store, handlers: [effects()], ...given })
    await expect(bridge.start()).rejects.toThrow(problem)
  })
})
