// What capture costs a writer: commits a second on a captured table, against the same insert into an uncaptured table plus one
// outbox-like insert of equal bytes, without any trigger or NOTIFY. One statement and one commit a write on both sides;
// sides alternate in short slices, because the machine's own mood changes from second to second; each pair of slices gives one ratio,
// the median counts. `node bench/capture-cost.ts [pairs] [seconds a slice]`
import { argv, stdout } from 'node:process'
import pg from 'pg'
import { addCapture } from '../src/store/capture.ts'
import { openStore } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const connections = 16
const pairs = Number(argv[2] ?? 25)
const seconds = Number(argv[3] ?? 0.5)
const target = 0.85

interface Side {
  readonly name: string
  readonly statement: string
  values(i: number): unknown[]
}

const columns = `id bigint generated always as identity primary key, email text not null, name text,
  is_active boolean not null default true, created_at timestamptz not null default now()`

const email = (i: number) => `user${i}@example.com`
const name = (i: number) => `Ada Lovelace the ${i}th`

const captured: Side = {
  name: 'captured',
  statement: 'insert into users (email, name) values ($1, $2)',
  values: (i) => [email(i), name(i)],
}

/** The outbox-like row gets its bytes from the client, as an application with a hand-written outbox would send them. */
const bare: Side = {
  name: 'bare',
  statement: `with written as (insert into plain_users (email, name) values ($1, $2))
    insert into plain_outbox (class, id, type, source, subject, data, checksum)
    values ('default', $3, 'user.created', 'capture/public.users', $4, $5, $6)`,
  values: (i) => [email(i), name(i), uuid(i), `user/${i}`, dataOf(i), checksum],
}

const checksum = 'c648ed5e96f18d1ae8a67f838948a75220f82de0336a9ec28a30db2ad55d1fe2'
const uuid = (i: number) => `019350a8-0000-7000-8000-${String(i).padStart(12, '0')}`
const dataOf = (i: number) =>
  `{"user_id" : ${i}, "user_data" : {"id" : ${i}, "email" : "${email(i)}", "name" : "${name(i)}", "is_active" : true, "created_at" : "2026-11-21T08:53:26.589853Z"}}`

async function commitsPerSecond(clients: readonly pg.Client[], side: Side): Promise<number> {
  const end = performance.now() + seconds * 1000
  let next = 0
  const work = async (client: pg.Client): Promise<void> => {
    while (performance.now() < end) {
      next += 1
      await client.query({ name: side.name, text: side.statement, values: side.values(next) })
    }
  }
  const start = performance.now()
  await Promise.all(clients.map(work))
  return (next * 1000) / (performance.now() - start)
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

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
  for (const side of [captured, bare]) await commitsPerSecond(clients, side)
  const ratios: number[] = []
  const totals = { captured: 0, bare: 0 }
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = pair % 2 === 0 ? [captured, bare] : [bare, captured]
    const rates = new Map<Side, number>()
    for (const side of order) rates.set(side, await commitsPerSecond(clients, side))
    const rate = { captured: rates.get(captured) ?? 0, bare: rates.get(bare) ?? 0 }
    totals.captured += rate.captured / pairs
    totals.bare += rate.bare / pairs
    ratios.push(rate.captured / rate.bare)
  }
  stdout.write(
    `mean commits/s: captured ${totals.captured.toFixed(0)}, bare ${totals.bare.toFixed(0)}: ${(totals.captured / totals.bare).toFixed(3)}\n`,
  )
  const { rows } = await store.query(
    'select (select round(avg(octet_length(data::text))) from evt.outbox) as captured, (select round(avg(octet_length(data::text))) from plain_outbox) as bare',
  )
  stdout.write(`bytes of data: captured ${rows[0]?.captured}, bare ${rows[0]?.bare}\n`)
  const ratio = median(ratios)
  stdout.write(
    `ratios of pairs: ${[...ratios]
      .sort((a, b) => a - b)
      .map((r) => r.toFixed(2))
      .join(' ')}\n`,
  )
  stdout.write(
    `median ratio ${ratio.toFixed(3)} at ${connections} connections; target ${target}: ${ratio >= target ? 'held' : 'MISSED'}\n`,
  )
  await Promise.all(clients.map((client) => client.end()))
  await store.close()
} finally {
  await server.stop()
}
