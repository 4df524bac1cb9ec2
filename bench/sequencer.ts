// What the store does alone: COPY in, sequence, read the log, observe; and what writers pay for the wake-up. Run:
//   node bench/sequencer.ts [events] [rounds]
// Medians over the rounds, on a server of its own with fsync on. `held` keeps a snapshot and a writer open all the while.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeEvent } from '../src/core/codec.ts'
import { openStore, type Store } from '../src/store/connection.ts'
import { startEmbedded } from '../src/store/embedded.ts'
import { acquireLease, type Lease } from '../src/store/lease.ts'
import { createLogReader } from '../src/store/log.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { observeOutbox } from '../src/store/observe.ts'
import { copyEvents, publishEncoded } from '../src/store/outbox.ts'
import { tick } from '../src/store/sequencer.ts'

const events = Number(process.argv[2] ?? 100_000)
const rounds = Number(process.argv[3] ?? 3)
const results = new Map<string, number[]>()

async function timed(name: string, work: () => Promise<number>): Promise<void> {
  const start = performance.now()
  const count = await work()
  const rates = results.get(name) ?? []
  results.set(name, rates)
  rates.push(count / ((performance.now() - start) / 1000))
}

function* makeEvents(count: number) {
  const fill = 'x'.repeat(180)
  for (let n = 0; n < count; n += 1) {
    yield encodeEvent({
      id: `bench-${n}`,
      type: 'bench.event',
      version: 1,
      source: 'bench',
      time: '2026-11-21T10:00:00.000Z',
      subject: `bench/${n % 1000}`,
      priority: 'normal',
      metadata: {},
      data: { n, fill },
    })
  }
}

async function sequence(store: Store, lease: Lease): Promise<number> {
  let done = 0
  for (let limit = 5_000; ; limit = Math.min(limit * 2, 160_000)) {
    const step = await tick(store, lease.epoch, limit)
    done += step.sequenced
    if (!step.more && step.sequenced === 0) return done
  }
}

/** Steps as small as a relay takes them under load, so that what a step costs weighs as it does there. */
async function sequenceInSmallSteps(store: Store, lease: Lease): Promise<number> {
  const prepared = [...makeEvents(200)]
  let done = 0
  for (let batch = 0; batch < 150; batch += 1) {
    await publishEncoded(store, prepared, { class: 'scratch' })
    done += (await tick(store, lease.epoch, 5_000)).sequenced
  }
  return done
}

/** What the server itself can do at this moment: the same rows into a table like the log, without any rule. */
async function bare(store: Store): Promise<number> {
  await store.query('drop table if exists bare; create table bare (like evt.log including indexes)')
  await store.query(
    `insert into bare select row_number() over (order by seq), seq, xid, clock_timestamp(), day, 1, class
     from (select * from evt.outbox where class = 'scratch' and day = evt.today() limit $1) o`,
    [events],
  )
  return events
}

async function observe(store: Store, position: bigint): Promise<number> {
  let seen = 0
  const signal = new AbortController().signal
  for await (const batch of observeOutbox(store, { from: { position }, follow: false, signal })) seen += batch.length
  return seen
}

async function readLog(store: Store, from: bigint): Promise<number> {
  const reader = createLogReader(store)
  let at = from
  for (;;) {
    const entries = await reader.read(at, 1000)
    if (entries.length === 0) break
    at = entries.at(-1)?.position ?? at
  }
  await reader.close()
  return Number(at - from)
}

async function writersCost(store: Store): Promise<void> {
  const statements = 20_000
  const insert = `do $$ begin for n in 1..${statements} loop insert into evt.outbox (class, id, type, source, subject, data)
    values ('scratch', n::text, 'bench.event', 'bench', 'bench/1', '{"fill":"${'x'.repeat(180)}"}'); end loop; end $$`
  const inserting = async (): Promise<number> => {
    await store.query(insert)
    return statements
  }
  // With, without, without, with: whoever comes first pays for what was before.
  for (const trigger of ['enable', 'disable', 'disable', 'enable'] as const) {
    await store.query(`alter table evt.outbox ${trigger} trigger wake_relay`)
    await timed(`insert statements, wake-up trigger ${trigger}d`, inserting)
  }
}

async function round(store: Store, lease: Lease): Promise<void> {
  await timed('COPY into the outbox', () => copyEvents(store, makeEvents(events), { class: 'scratch' }))
  await timed('sequence a backlog', () => sequence(store, lease))
  await timed('bare insert … select of as many rows', () => bare(store))
  await timed('insert 200 and sequence, in turns', () => sequenceInSmallSteps(store, lease))

  const holder = await store.pool.connect()
  const writer = await store.pool.connect()
  await holder.query('begin isolation level repeatable read; select 1 from evt.ticks')
  await writer.query(`begin; select evt.publish('bench.event', '1', class => 'scratch')`)
  await copyEvents(store, makeEvents(events), { class: 'scratch' })
  await timed('sequence a backlog, held', () => sequence(store, lease))
  await timed('insert 200 and sequence, in turns, held', () => sequenceInSmallSteps(store, lease))
  await holder.query('rollback')
  await writer.query('rollback')
  holder.release()
  writer.release()

  const head = BigInt(String((await store.query('select evt.head() as head')).rows[0]?.head))
  await timed('read the log by thousands', () => readLog(store, head > 200_000n ? head - 200_000n : 0n))
  await writersCost(store)
  await timed('observe what nobody sequenced', () => observe(store, head))
  await sequence(store, lease)
}

const directory = mkdtempSync(join(tmpdir(), 'evt-bench-'))
const server = await startEmbedded(directory, { serversDirectory: join(directory, 'servers') })
try {
  await migrateUp(server.url)
  const store = await openStore(server.url, { applicationName: 'evt bench', max: 5 })
  const lease = await acquireLease(store, 'bench', 3_600_000)
  if (!lease) throw new Error('somebody else leads')
  for (let n = 0; n < rounds; n += 1) await round(store, lease)
  await store.close()
  for (const [name, rates] of results) {
    const median = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0
    process.stdout.write(`${name.padEnd(44)} ${Math.round(median).toLocaleString('en').padStart(10)} /s\n`)
  }
} finally {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
}
