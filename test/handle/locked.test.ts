import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { createSessions } from '../../src/store/sessions.ts'
import { onTestFinished } from '../setup/on-test-finished.ts'
import { until } from '../setup/until.ts'
import { type Running, run } from './running.ts'

const handler = (extra: Partial<HandlerDefinition> = {}): HandlerDefinition => ({
  name: 'test.locked',
  on: ['thing.*'],
  start: 'earliest',
  concurrency: 1,
  retry: { attempts: 3, initial: '5ms', max: '10ms' },
  async handle(event, ctx) {
    await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.subject})`
  },
  ...extra,
})

/** Stands for an owner that froze in its transaction: the event is in its inbox, and nobody commits. */
async function freeze(running: Running, id: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: running.url })
  await client.connect()
  let ended: Promise<void> | undefined
  const end = () => (ended ??= client.end())
  client.on('error', () => {})
  await client.query('begin')
  await client.query(`insert into evt.inbox (handler, event_id, day) values ('test.locked', $1, $2)`, [
    id,
    new Date().toISOString().slice(0, 10),
  ])
  return end
}

const isWaiting = async (running: Running) =>
  (await running.rows(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`))
    .length > 0

const handled = (running: Running) => running.rows('select id from effects order by n')

// Beside each other: they wait for locks.
describe.concurrent('an event that another transaction is in the middle of', () => {
  it('holds up its own lane, not the others of the worker, and is handled when that one is gone', async () => {
    const running = await run([handler()])
    const thaw = await freeze(running, 'frozen')
    const others = Array.from({ length: 200 }, (_, n) => ({ type: 'thing.done', id: `e${n}`, subject: `s${n}` }))
    await running.publish({ type: 'thing.done', id: 'frozen', subject: 'frozen' }, ...others)
    await until(async () => (await handled(running)).length >= 150, { withinMs: 8000 })
    await thaw()
    await until(async () => (await handled(running)).length === 201, { withinMs: 8000 })
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  })

  it('does not use up its attempts while it waits for a retry', async () => {
    let frozen: Promise<() => Promise<void>> | undefined
    const running: Running = await run([
      handler({
        async handle(event, ctx) {
          if (ctx.attempt === 1) {
            // It waits for this transaction, and has the event when this attempt is rolled back.
            frozen = freeze(running, 'frozen')
            await until(() => isWaiting(running))
            throw new Error('first')
          }
          await ctx.sql`insert into effects (id, sequence) values (${event.id}, ${ctx.attempt})`
        },
      }),
    ])
    await running.publish({ type: 'thing.done', id: 'frozen', subject: 'frozen' })
    await until(async () => (await running.rows('select from evt.deliveries')).length === 1)
    const thaw = await until(() => frozen)
    await until(() => isWaiting(running))
    await until(async () => {
      const [row] = await running.rows('select attempts, started_at from evt.deliveries')
      return row?.attempts === 1 && row.started_at === null && !(await isWaiting(running))
    })
    await thaw()
    const rows = await until(
      async () => {
        const found = await running.rows('select sequence::int as attempt from effects')
        return found.length > 0 ? found : undefined
      },
      { withinMs: 8000 },
    )
    expect(rows).toEqual([{ attempt: 2 }])
  })

  it('does not keep a process from stopping', async () => {
    const running = await run([handler()])
    onTestFinished(await freeze(running, 'frozen'))
    await running.publish({ type: 'thing.done', id: 'frozen', subject: 'frozen' })
    await until(() => isWaiting(running))
    const began = performance.now()
    await running.subscribers.stop({ graceMs: 200 })
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it('nor does a statement of the handler that waits for a lock, whatever its own time', async () => {
    const running = await run([
      handler({
        timeout: '10m',
        async handle(_, ctx) {
          await ctx.sql`lock table effects in access exclusive mode`
        },
      }),
    ])
    const client = new pg.Client({ connectionString: running.url })
    await client.connect()
    onTestFinished(() => client.end())
    await client.query('begin; lock table effects in access share mode')
    await running.publish({ type: 'thing.done', subject: 'a' })
    await until(() => isWaiting(running))
    const began = performance.now()
    await running.subscribers.stop({ graceMs: 200 })
    expect(performance.now() - began).toBeLessThan(10_000)
    await until(async () => !(await isWaiting(running)))
  })
})

it('a transaction whose process is silent is ended by the server', async () => {
  const running = await run([])
  const sessions = createSessions(running.store, { max: 1, applicationName: 'frozen one' })
  onTestFinished(() => sessions.close())
  const session = await sessions.open()
  // The margin for a living client's silence comes on top of it.
  await session.begin(-4800)
  await until(() => session.broken)
  await session.terminate()
})

describe.concurrent('a statement that waits for a lock of somebody else', () => {
  const open = async (running: Running) => {
    await running.store.query('create table busy (n int)')
    await running.store.query('insert into busy values (0)')
    const client = new pg.Client({ connectionString: running.url })
    client.on('error', () => {})
    await client.connect()
    onTestFinished(() => client.end())
    await client.query('begin')
    await client.query('update busy set n = 1')
  }
  const bystanders = Array.from({ length: 6 }, (_, n) => ({ type: 'thing.done', subject: `x${n}` }))
  const patience = { withinMs: 15_000 }

  it('holds up the events beside it no longer than its time, when its handler has failed already', async () => {
    const locked = handler({
      timeout: '1s',
      async handle(event, ctx) {
        if (event.subject === 'locked')
          await Promise.all([ctx.sql`update busy set n = n + 1`, Promise.reject(new Error('no answer'))])
        await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.subject})`
      },
    })
    const running = await run([locked])
    await open(running)
    await running.publish({ type: 'thing.done', subject: 'locked' }, ...bystanders)
    await until(async () => (await handled(running)).length === bystanders.length, patience)
  })

  it('nor when another event of its transaction has failed', async () => {
    let warm = true
    const mixed = handler({
      timeout: '1s',
      concurrency: 16,
      async handle(event, ctx) {
        if (!warm && event.subject === 'bad') throw new Error('no answer')
        if (!warm && event.subject === 'locked') await ctx.sql`update busy set n = n + 1`
        else await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.subject})`
      },
    })
    const running = await run([mixed])
    await open(running)
    const quick = Array.from({ length: 300 }, (_, n) => ({ type: 'thing.done', subject: `s${n % 9}` }))
    await running.publish(...quick)
    await until(async () => (await handled(running)).length === quick.length)
    warm = false
    await running.publish(
      { type: 'thing.done', subject: 'locked' },
      { type: 'thing.done', subject: 'bad' },
      ...bystanders,
    )
    await until(async () => (await handled(running)).length === quick.length + bystanders.length, patience)
  })
})
