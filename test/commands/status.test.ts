import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { startEmbedded } from '../../src/store/embedded.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())
const status = (...words: string[]) => runHere(['status', ...words], { cwd: nowhere.path })

describe('status', () => {
  it('ends with 2 for what is no store, as every command does, and with 3 for one that is not there', async () => {
    expect(await status('--store', 'foo')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('no PostgreSQL URL'),
    })
    const away = await status('--store', 'postgres://u:secret@127.0.0.1:1/db')
    expect(away).toMatchObject({ exit: 3, stdout: expect.stringMatching(/^problem .*connection refused/m) })
    expect(away.stdout + away.stderr).not.toContain('secret')
    const { exit, stdout } = await status('--store', 'postgres://u:secret@127.0.0.1:1/db', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ status: 'fail', data: { store: { problem: expect.any(String) } } })
    expect(exit).toBe(3)
  })

  it('says to migrate a database without the schema, with 2', async () => {
    const { url } = await createTestDatabase({ schema: 'empty' })
    expect(await status('--store', url)).toMatchObject({ exit: 2, stdout: expect.stringContaining('evt migrate up') })
  })

  it('doubts a bridge that was silent for a while', async () => {
    const { url, store } = await createTestDatabase()
    const silentFor = async (ms: number) => {
      await store.query('delete from evt.instances')
      await store.query(
        `insert into evt.instances (instance, host, pid, version, roles, leader, started_at, sample, beat_at)
         values ('evt-a', 'here', 1, '0', '{relay}', true, now(), '{"handlers": []}', clock_timestamp() - $1 * interval '1 ms')`,
        [ms],
      )
      return (await status('--store', url)).stdout
    }
    expect(await silentFor(0)).toMatch(/^bridges +evt-a \(0 handlers\)$/m)
    expect(await silentFor(2_100)).toMatch(/^bridges +evt-a \(0 handlers, last sign of life 2[.\d]*s ago\)$/m)
    expect(await silentFor(60_000)).toMatch(/^bridges +none runs$/m)
  })

  it('says what to make first: something that the running services know', async () => {
    const { url } = await createTestDatabase()
    const contracts = ['order.paid', 'product.created', 'zone.created'].map((type) =>
      defineEvent(type, { 1: z.unknown() }),
    )
    const draft = defineEvent('draft.created', { 1: z.unknown() }, { draft: true })
    const shop = { name: 'shop', contracts: [...contracts, draft], handlers: [] }
    const bridge = createBridge({ store: url, services: [shop] })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const next = await until(async () => /^next +(evt gen .*)$/m.exec((await status('--store', url)).stdout)?.[1], {
      withinMs: 20_000,
      what: 'a leader',
    })
    expect(next).toBe('evt gen product.created --count 10')
  })

  it('says that nobody leads and what waits for that, and what waits for a person, each with its command', async () => {
    const { url, store } = await createTestDatabase()
    const before = await status('--store', url)
    expect(before.stdout).not.toMatch(/^(relay|stuck sagas|subjects wait|alerts) /m)
    await store.query(
      `insert into evt.instances (instance, host, pid, version, roles, started_at, sample)
       values ('evt-a', 'here', 1, '0', '{http}', now(), '{"handlers": []}')`,
    )
    await store.query(`select evt.publish('a.b', '1') from generate_series(1, 4)`)
    await store.query(`select evt.ensure_group('test.idle', 4, 0)`)
    await store.query(
      `insert into evt.sagas (saga, key, status, phase, version, plan, stage, steps, state, correlation_id, started_by)
       select 'test.saga', n::text, 'stuck', 'running', 1, '[]', 0, '{}', '{}', n::text, n::text from generate_series(1, 3) n`,
    )
    await store.query(
      `insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, position, held_for)
       select 'test.idle', 'log/0', 's' || n % 2, n::text, 'a.b', 'log', n::text, n, 'a.b@2' from generate_series(1, 4) n`,
    )
    await store.query(
      `insert into evt.alerts (alert, key, severity, state, since, says)
       select alert, '', severity, 'firing', now(), '' from unnest('{slow,crashed}'::text[], '{warning,critical}'::text[]) a (alert, severity)`,
    )
    const { stdout } = await status('--store', url)
    expect(stdout).toMatch(/^relay +nobody leads, 4 events wait, the oldest for \S+: evt up$/m)
    expect(stdout).toMatch(/^stuck sagas +3 of test\.saga: evt saga list --status stuck$/m)
    expect(stdout).toMatch(/^subjects wait +2 for a contract: evt parked list$/m)
    expect(stdout).toMatch(/^alerts +2 fire, 1 critical \(crashed, slow\): evt alerts list$/m)
    expect(stdout).toMatch(/^next +evt up$/m)
    await store.query('delete from evt.instances')
    const listed = await runHere(['handlers', 'list', '--json'], { cwd: nowhere.path, store: url })
    expect(JSON.parse(listed.stdout).data.handlers).toMatchObject([{ lagEvents: 0, retrying: 4, unsequenced: 4 }])
    const table = await runHere(['handlers', 'list'], { cwd: nowhere.path, store: url })
    expect(table.stdout).toMatch(/test\.idle .*nobody .* 8 /)
  })

  it('says how many events are held, and until when', async () => {
    const { url, store } = await createTestDatabase()
    expect((await status('--store', url)).stdout).not.toMatch(/^held/m)
    await store.query(
      `select evt.publish_at(at, 'a.b', '1') from unnest('{2200-01-01Z,2100-01-01Z}'::timestamptz[]) at`,
    )
    expect((await status('--store', url)).stdout).toMatch(/^held +2 events, the next until 2100-01-01T00:00:00\.000Z$/m)
  })

  it('tells where each sink and source stands, and no lag of handlers that read a sink', async () => {
    const { url, store } = await createTestDatabase()
    await store.query(
      `insert into evt.sinks (name, target, position) values ('old', 'redis://here', 0), ('out', 'kafka://here', 0)`,
    )
    const before = await status('--store', url)
    expect(before.stdout).toMatch(/^sink +old \(redis:\/\/here\): position 0, nobody carries it$/m)
    const bridge = createBridge({
      store,
      instance: 'evt-a',
      handlers: [defineHandler({ name: 'test.reader', on: ['*'], async handle() {} })],
      sinks: [{ name: 'out', url: 'memory://status-test/all', start: 'earliest' }],
      sources: [{ name: 'in', url: 'memory://status-test/foreign' }],
      consume: 'out',
    })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    // As if the handler had read the log before.
    await store.query(`select evt.ensure_group('test.reader', 4, 0)`)
    for (const n of [1, 2, 3]) await store.query(`select evt.publish('user.created', '{}', $1)`, [`user/${n}`])
    const read = async () => JSON.parse((await status('--store', url, '--json')).stdout).data
    await until(
      async () => (await read()).sinks[1]?.position === '3' && (await read()).sinks[1]?.carriedBy === 'evt-a',
      {
        withinMs: 10_000,
      },
    )
    await store.query(`update evt.ticks set at = at - interval '1 minute'`)
    expect(await read()).toMatchObject({
      largestLag: null,
      sinks: [
        { sink: 'old', position: '0', lagEvents: 3, carriedBy: null, isRead: false },
        { sink: 'out', position: '3', lagEvents: 0, carriedBy: 'evt-a', isRead: true, waitsFor: null },
      ],
      sources: [{ source: 'in', taken: 0, readBy: ['evt-a'], waitsFor: null }],
    })
    const { stdout } = await status('--store', url)
    expect(stdout).toMatch(/^sink +old \(redis:\/\/here\): position 0, 3 events behind, nobody carries it$/m)
    expect(stdout).toMatch(/^sink +out \(memory:\S+\): position 3, read by handlers$/m)
    expect(stdout).toMatch(/^source +in: 0 events taken in by evt-a$/m)
    await bridge.stop()
    // Now nobody reads it from a sink: what it has to catch up with shows again.
    expect((await read()).largestLag).toMatchObject({ handler: 'test.reader', lagEvents: 3 })
  })

  it('shows where embedded stores run when none runs here and it cannot choose', { timeout: 60_000 }, async () => {
    const serversDirectory = join(nowhere.path, '.cache/evt/postgres')
    const projects = ['first', "second's"].map((name) => join(nowhere.path, 'work', name))
    for (const project of projects) {
      mkdirSync(join(project, '.git'), { recursive: true })
      const server = await startEmbedded(project, { serversDirectory })
      onTestFinished(() => server.stop())
    }
    const { exit, stdout } = await status()
    expect(exit).toBe(0)
    for (const project of projects) expect(stdout).toMatch(new RegExp(`^runs elsewhere\\s+${project}$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^next\\s+cd ${projects[0]} && evt status$`, 'm'))
    const lag = await runHere(['dlq', 'list'], { cwd: nowhere.path })
    expect(lag).toMatchObject({ exit: 2, stderr: expect.stringContaining(projects.join(' and ')) })
  })
})
