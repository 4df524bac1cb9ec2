// What capture costs a writer at 16 connections: commits a second on a captured table, against the same insert into an
// uncaptured table plus one outbox-like insert of equal bytes, without any trigger or NOTIFY. That can be read in two ways, and both are
// measured and judged:
//   statement:   one autocommitted statement on both sides, the two inserts in one WITH: the strict reading, the trigger's own price
//   transaction: begin, insert, [insert,] commit, as an application without evt keeps an outbox. The captured side saves a
//                round trip here, which hides what the trigger costs
// Sides alternate in short slices, because a machine's mood changes from second to second; each pair of slices gives one ratio,
// the median counts. CPU is of the server's sessions and this client, a commit. `node bench/capture-cost.ts [pairs] [seconds]`
import { existsSync, readFileSync } from 'node:fs'
import { argv, cpuUsage, stdout } from 'node:process'
import pg from 'pg'
import { addCapture } from '../src/store/capture.ts'
import { openStore } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const connections = 16
const pairs = Number(argv[2] ?? 20)
const seconds = Number(argv[3] ?? 0.4)
const target = 0.85

type Query = readonly [name: string, text: string, values: readonly unknown[]]
type Write = (i: number) => readonly Query[]

const columns = `id bigint generated always as identity primary key, email text not null, name text,
  is_active boolean not null default true, created_at timestamptz not null default now()`

const person = (i: number) => [`user${i}@example.com`, `Ada Lovelace the ${i}th`]
const checksum = 'c648ed5e96f18d1ae8a67f838948a75220f82de0336a9ec28a30db2ad55d1fe2'

/** The bytes that the capture writes too. */
function outboxRow(i: number): readonly unknown[] {
  const [email, name] = person(i)
  const row = { id: i, email, name, is_active: true, created_at: '2026-11-21T08:53:26.589853+00:00' }
  const id = `019350a8-0000-7000-8000-${String(i).padStart(12, '0')}`
  return [id, `user/${i}`, JSON.stringify({ user_id: i, user_data: row }), checksum]
}

const insertUser = (table: string) => `insert into ${table} (email, name) values ($1, $2)`
const insertOutbox = (first: number) => `insert into plain_outbox (class, id, type, source, subject, data, checksum)
  values ('default', $${first}, 'user.created', 'capture/public.users', $${first + 1}, $${first + 2}, $${first + 3})`

const inTransaction = (...queries: readonly Query[]): readonly Query[] => [
  ['begin', 'begin', []],
  ...queries,
  ['commit', 'commit', []],
]
const captured = (i: number): Query => ['captured', insertUser('users'), person(i)]

const comparisons: Readonly<Record<string, { readonly captured: Write; readonly bare: Write }>> = {
  transaction: {
    captured: (i) => inTransaction(captured(i)),
    bare: (i) =>
      inTransaction(['plain', insertUser('plain_users'), person(i)], ['outbox', insertOutbox(1), outboxRow(i)]),
  },
  statement: {
    captured: (i) => [captured(i)],
    bare: (i) => [
      ['both', `with w as (${insertUser('plain_users')}) ${insertOutbox(3)}`, [...person(i), ...outboxRow(i)]],
    ],
  },
}

interface Slice {
  readonly perSecond: number
  readonly cpuUs: number
}

async function measure(clients: readonly pg.Client[], pids: readonly number[], write: Write): Promise<Slice> {
  const cpuBefore = cpuOf(pids)
  const start = performance.now()
  const end = start + seconds * 1000
  let next = 0
  const work = async (client: pg.Client): Promise<void> => {
    while (performance.now() < end) {
      next += 1
      for (const [name, text, values] of write(next)) await client.query({ name, text, values: [...values] })
    }
  }
  await Promise.all(clients.map(work))
  return { perSecond: (next * 1000) / (performance.now() - start), cpuUs: (cpuOf(pids) - cpuBefore) / next }
}

/** Microseconds that these processes and this one have run; Linux only, elsewhere this one's. */
function cpuOf(pids: readonly number[]): number {
  const own = cpuUsage()
  const times = pids.map((pid) => `/proc/${pid}/schedstat`).filter((path) => existsSync(path))
  const servers = times.reduce((sum, path) => sum + Number(readFileSync(path, 'utf8').split(' ')[0]) / 1000, 0)
  return servers + own.user + own.system
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

async function compare(name: string, clients: readonly pg.Client[], pids: readonly number[]): Promise<void> {
  const sides = comparisons[name]
  if (!sides) return
  const slices: { captured: Slice; bare: Slice }[] = []
  for (let pair = -1; pair < pairs; pair += 1) {
    const first = pair % 2 === 0 ? 'captured' : 'bare'
    const second = first === 'bare' ? 'captured' : 'bare'
    const a = await measure(clients, pids, sides[first])
    const b = await measure(clients, pids, sides[second])
    // The first pair warms caches and plans.
    if (pair >= 0) slices.push(first === 'captured' ? { captured: a, bare: b } : { captured: b, bare: a })
  }
  const ratio = median(slices.map((slice) => slice.captured.perSecond / slice.bare.perSecond))
  const of = (side: 'captured' | 'bare', what: keyof Slice) =>
    median(slices.map((slice) => slice[side][what])).toFixed(0)
  stdout.write(`${name}: captured ${of('captured', 'perSecond')}/s, bare ${of('bare', 'perSecond')}/s, `)
  stdout.write(`ratio ${ratio.toFixed(3)} (target ${target}: ${ratio >= target ? 'held' : 'MISSED'}); `)
  stdout.write(`CPU ${of('captured', 'cpuUs')} and ${of('bare', 'cpuUs')} µs a commit\n`)
}

const server = await startPrivateServer({ version: 18, durable: true, settings: ['max_prepared_transactions=0'] })
try {
  const store = await openStore(server.url, { applicationName: 'bench capture' })
  await migrateUp(store)
  await store.query(`create table users (${columns})`)
  await store.query(`create table plain_users (${columns})`)
  await store.query('create table plain_outbox (like evt.outbox including defaults)')
  await store.query('create index on plain_outbox (xid, seq)')
  await addCapture(store, { table: 'users' })
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: server.url }))
  // When something fails, the server stops first: what failed is the error to show, not the lost connections.
  for (const client of clients) client.on('error', () => {})
  await Promise.all(clients.map((client) => client.connect()))
  const { rows: sessions } = await store.query("select pid from pg_stat_activity where backend_type = 'client backend'")
  const pids = sessions.map((row) => Number(row.pid))
  await compare('statement', clients, pids)
  await compare('transaction', clients, pids)
  const { rows } = await store.query(`select
    (select round(avg(octet_length(data::text))) from evt.outbox) as captured,
    (select round(avg(octet_length(data::text))) from plain_outbox) as bare`)
  stdout.write(`bytes of data: captured ${rows[0]?.captured}, bare ${rows[0]?.bare}; ${connections} connections\n`)
  await Promise.all(clients.map((client) => client.end()))
  await store.close()
} finally {
  await server.stop()
}
