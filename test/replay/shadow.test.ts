import { execFile, execFileSync } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import http2 from 'node:http2'
import { type AddressInfo, connect, createServer as createNetServer, type Server } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { EvtError } from '../../src/core/errors.ts'
import { createRegistry } from '../../src/core/registry.ts'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { compareShadows } from '../../src/replay/compare-shadows.ts'
import { pagesOf } from '../../src/replay/history.ts'
import { type ShadowedEvent, shadowHandlers } from '../../src/replay/shadow.ts'
import type { Store } from '../../src/store/connection.ts'
import { createLogReader } from '../../src/store/log.ts'
import { silent } from '../handle/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { writeHistory } from './history.ts'

async function shadowed(store: Store, handle: HandlerDefinition['handle'], more: Partial<HandlerDefinition> = {}) {
  const reader = createLogReader(store)
  const signal = new AbortController().signal
  const events: ShadowedEvent[] = []
  try {
    await shadowHandlers({
      store,
      handlers: [{ name: 'things.write', on: ['thing.*'], handle, ...more }],
      registry: createRegistry([]),
      log: silent,
      history: pagesOf(reader, { after: 0n, upto: await reader.head(), signal }),
      signal,
      onEvent: (event) => events.push(event),
    })
  } finally {
    await reader.close()
  }
  return events
}

async function tables() {
  const { store } = await createTestDatabase({ max: 12 })
  await store.query(`create table parents (id int primary key, n int, made_at timestamptz default now());
    create table children (id bigint generated always as identity, parent int references parents on delete cascade);
    insert into parents values (1, 10), (2, 20); insert into children (parent) values (1), (1)`)
  await writeHistory(store, 3)
  return store
}

async function listening(server: Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const contents = async (store: Store) =>
  (
    await store.query(`select (select json_agg(p order by id) from parents p) as p, (select json_agg(c order by id) from children c) as c,
    (select count(*) from evt.outbox) as o, (select count(*) from pg_trigger where tgname like '%evt_note') as t`)
  ).rows

it('shows the rows that a handler would have written, old and new, defaults and cascades included, and leaves nothing', async () => {
  const store = await tables()
  const before = await contents(store)
  const [first, second, third] = await shadowed(store, async ({ id }, { sql, publish }) => {
    if (id === 'e1') await sql`insert into parents (id, n) values (3, 30)`
    if (id === 'e2') await sql`update parents set n = n + 1 where id = 2`
    if (id === 'e3') await sql`delete from parents where id = 1`
    await publish({ type: 'thing.seen', data: { id } })
  })
  expect(first?.rows).toMatchObject([
    { table: 'public.parents', op: 'insert', new: { id: 3, n: 30, made_at: expect.any(String) } },
  ])
  expect(second?.rows).toMatchObject([{ op: 'update', old: { id: 2, n: 20 }, new: { id: 2, n: 21 } }])
  expect(third?.rows.map(({ table, op }) => `${op} ${table}`).sort()).toEqual([
    'delete public.children',
    'delete public.children',
    'delete public.parents',
  ])
  expect(third?.published).toMatchObject([{ type: 'thing.seen', data: { id: 'e3' }, causationId: 'e3' }])
  expect(await contents(store)).toEqual(before)
})

it('what fails says so, also at the end of its transaction; a commit is refused however it is written', async () => {
  const store = await tables()
  await store.query(
    'alter table children add constraint later foreign key (parent) references parents deferrable initially deferred',
  )
  await store.query('alter table children drop constraint children_parent_fkey')
  const before = await contents(store)
  const [first, second, third] = await shadowed(store, async ({ id }, { sql }) => {
    if (id === 'e1') await sql`insert into children (parent) values (99)`
    if (id === 'e2') await sql.query('commit')
    if (id !== 'e3') return
    await sql`insert into parents (id) values (7)`
    await sql.query('select 1; commit').catch(() => {})
    await sql`insert into parents (id) values (8)`.catch(() => {})
  })
  expect(first?.error).toContain('violates foreign key')
  expect(second?.error).toContain('cannot run "commit"')
  expect(third).toMatchObject({ rows: [] })
  expect(await contents(store)).toEqual(before)
})

it('a handler that is late is told, and cannot write into the next event', async () => {
  const store = await tables()
  let [openGate, told] = [() => {}, false]
  const gate = new Promise<void>((resolve) => (openGate = resolve))
  const late: Promise<string>[] = []
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error: EvtError) => error.code,
    )
  const handle: HandlerDefinition['handle'] = async ({ id }, ctx) => {
    if (id === 'e1') {
      ctx.signal.addEventListener('abort', () => (told = true))
      await gate
      late.push(codeOf(ctx.sql`insert into parents (id) values (7)`))
      ctx.sql`insert into parents (id) values (6)`
      late.push(codeOf(ctx.publish({ type: 'thing.later', data: {} })))
      return
    }
    openGate()
    await until(() => late.length === 2)
    await ctx.sql`insert into parents (id) values (${id === 'e2' ? 8 : 9})`
  }
  const [first, second, third] = await shadowed(store, handle, { timeout: '500ms' })
  expect(first).toMatchObject({ error: expect.stringContaining('did not finish within 500 ms'), published: [] })
  expect(told).toBe(true)
  expect(await Promise.all(late)).toEqual(['fenced', 'fenced'])
  expect(second?.rows).toMatchObject([{ new: { id: 8 } }])
  expect(third?.rows).toMatchObject([{ new: { id: 9 } }])
})

it('a handler that reaches outside its transaction is flagged: by fetch, and by another connection to a database', async () => {
  const store = await tables()
  const server = createServer((_request, response) => void response.end('ok')).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  let calls = 0
  const events = await shadowed(store, async ({ id }, { sql }) => {
    await sql`update parents set n = 0 where id = 1`
    if (id === 'e1') calls += (await fetch(`http://127.0.0.1:${port}`)).ok ? 1 : 0
    if (id === 'e2') await store.query('select 1')
  })
  expect(events[0]?.outside).toContain(`http://127.0.0.1:${port}`)
  expect(events[1]?.outside.length).toBeGreaterThan(0)
  expect(events[2]?.outside).toEqual([])
  // What is outside happens once, although the rows were not known yet.
  expect(calls).toBe(1)
  await expect(shadowed(store, () => {}, { transaction: 'none' })).rejects.toMatchObject({ code: 'usage' })
})

describe('any way out of the process is flagged, and taken once', () => {
  const got: string[] = []
  let store: Store
  const ends: (() => void)[] = []
  const ways: Record<string, () => Promise<unknown>> = {}

  beforeAll(async () => {
    const server = createNetServer(
      (socket) => void socket.on('data', (text) => got.push(`${text}`)).on('error', () => {}),
    )
    const streams = http2.createServer().on('stream', (stream) => {
      got.push('x')
      stream.respond({ ':status': 200 })
      stream.end()
    })
    const [port, streamsPort] = [await listening(server), await listening(streams)]
    const session = http2.connect(`http://127.0.0.1:${streamsPort}`)
    await once(session, 'connect')
    const open = connect(port, '127.0.0.1')
    const datagrams = dgram.createSocket('udp4').on('message', (text) => got.push(`${text}`))
    datagrams.bind(0, '127.0.0.1')
    await once(datagrams, 'listening')
    const sender = dgram.createSocket('udp4')
    ends.push(() => {
      for (const one of [open, session]) one.destroy()
      for (const one of [server, streams, datagrams, sender]) one.close()
    })
    const post = (by: http2.ClientHttp2Session) => {
      const request = by.request({ ':method': 'POST', ':path': '/' })
      request.resume().end('x')
      return once(request, 'close')
    }
    Object.assign(ways, {
      'a new socket': () => connect(port, '127.0.0.1').end('x').resume(),
      'the end of an open socket': () => open.end('x'),
      'an open HTTP/2 session': () => post(session),
      'a new HTTP/2 session': async () => {
        const own = http2.connect(`http://127.0.0.1:${streamsPort}`)
        await post(own)
        own.close()
      },
      'a datagram': () =>
        promisify<string, number, string>(sender.send.bind(sender))('x', datagrams.address().port, '127.0.0.1'),
      'a child process': () => promisify(execFile)(process.execPath, ['-v']).then(() => got.push('x')),
      'a child process that is waited for': async () => execFileSync('true').length === 0 && got.push('x'),
    })
    ;({ store } = await createTestDatabase({ max: 12 }))
    await store.query('create table things (id text)')
    await writeHistory(store, 1)
  })
  afterAll(() => {
    for (const end of ends) end()
  })

  it.each([
    'a new socket',
    'the end of an open socket',
    'an open HTTP/2 session',
    'a new HTTP/2 session',
    'a datagram',
    'a child process',
    'a child process that is waited for',
  ])('%s', async (name) => {
    got.length = 0
    let calls = 0
    const [event] = await shadowed(store, async ({ id }, { sql }) => {
      calls += 1
      await ways[name]?.()
      await sql`insert into things values (${id})`
    })
    expect(event?.outside.length).toBeGreaterThan(0)
    expect(calls).toBe(1)
    await until(() => got.length > 0)
    expect(got).toEqual(['x'])
  })
})

it('two builds are the same while their rows, events and errors are, whatever the clock and the sequences say', async () => {
  const store = await tables()
  const fromMs = Date.now() - 1_000
  const build = (n: number) =>
    shadowed(store, async ({ id }, { sql }) => {
      await sql`insert into children (parent) values (2)`
      await sql`insert into parents (id, n) values (5, ${id === 'e2' ? n : 0})`
    })
  const [a, b, c] = [await build(1), await build(1), await build(2)]
  const window = { fromMs, toMs: Date.now() + 1_000 }
  expect(compareShadows(a, b, window)).toEqual([])
  expect(compareShadows(a, c, window)).toMatchObject([{ position: '2', where: ['public.parents'] }])
  expect(compareShadows(a, c.slice(1), window)).toMatchObject([
    { position: '1', where: ['missing'] },
    { position: '2' },
  ])
})

it('what one handler wrote is not said of the next one, nor makes it run again', async () => {
  const store = await tables()
  const reader = createLogReader(store)
  const events: ShadowedEvent[] = []
  const runs: string[] = []
  const writes: HandlerDefinition = {
    name: 'things.write',
    on: ['thing.*'],
    async handle(_, { sql }) {
      await sql`update parents set n = n + 1`
    },
  }
  const looks: HandlerDefinition = { name: 'things.look', on: ['thing.*'], handle: ({ id }) => void runs.push(id) }
  const signal = new AbortController().signal
  await shadowHandlers({
    ...{ store, handlers: [writes, looks], registry: createRegistry([]), log: silent, signal },
    history: pagesOf(reader, { after: 0n, upto: await reader.head(), signal }),
    onEvent: (event) => events.push(event),
  })
  await reader.close()
  const looking = events.filter(({ handler }) => handler === 'things.look')
  expect(looking.map(({ rows, unseen }) => [...rows, ...unseen])).toEqual([[], [], []])
  expect(runs).toEqual(['e1', 'e2', 'e3'])
})

it('a server that goes away ends the run as what it is, not as a failure of the handler', async () => {
  const store = await tables()
  const events: unknown[] = []
  const handle: HandlerDefinition['handle'] = async (event, { sql }) => {
    events.push(event)
    const [{ pid } = {}] = await sql<{ pid: number }>`select pg_backend_pid() as pid`
    await store.query('select pg_terminate_backend($1)', [pid])
    await sql`select 1`
  }
  await expect(shadowed(store, handle)).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('was lost'),
  })
  expect(events).toHaveLength(1)
})
