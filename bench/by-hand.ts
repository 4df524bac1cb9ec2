// A handler in evt, as it is by default and with a transaction each, against the same written by hand: a pool of `pg`, the id into an inbox table,
// the row, commit. Over events that are there; what is told is how many were handled a second, in turns. The floor is that of the default.
// `node bench/by-hand.ts [events=20000] [rounds=5]`
import { argv, stdout } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { createBridge } from '../src/bridge.ts'
import { createRegistry } from '../src/core/registry.ts'
import { defineHandler } from '../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../src/handle/handler.ts'
import { openFilledStore } from './filled-store.ts'

const floor = 0.8
const width = 16
const pageSize = 200

interface Logged {
  readonly id: string
  readonly subject: string
  readonly data: { readonly n: number }
}

/** In the order of each subject: its events are one worker's. */
async function byHand(url: string, events: number): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: width })
  const reader = new pg.Client({ connectionString: url })
  await reader.connect()
  const started = performance.now()
  for (let from = 0; from < events; from += pageSize * width) {
    const { rows } = await reader.query<Logged>(
      `select id, subject, data from evt.outbox where id = any (select 'bench-' || n from generate_series($1::int, $2::int) n) order by seq`,
      [from, from + pageSize * width - 1],
    )
    const lanes = Map.groupBy(rows, ({ subject }) => Number(subject.slice('subject/'.length)) % width)
    await Promise.all([...lanes.values()].map((lane) => handleAll(pool, lane)))
  }
  const perSecond = events / ((performance.now() - started) / 1_000)
  await reader.end()
  await pool.end()
  return perSecond
}

async function handleAll(pool: pg.Pool, lane: readonly Logged[]): Promise<void> {
  const client = await pool.connect()
  for (const { id, subject, data } of lane) {
    await client.query('begin')
    const { rowCount } = await client.query(
      "insert into hand_inbox (handler, event_id) values ('bench.hand', $1) on conflict do nothing",
      [id],
    )
    if (rowCount === 1) await client.query('insert into hand_effects (subject, n) values ($1, $2)', [subject, data.n])
    await client.query('commit')
  }
  client.release()
}

async function byEvt(
  url: string,
  events: number,
  own: Pick<HandlerDefinition, 'name' | 'transaction' | 'concurrency'>,
) {
  const handler = defineHandler({
    ...own,
    on: ['bench.happened'],
    start: 'earliest',
    handle: async (event, ctx) =>
      void (await ctx.sql`insert into evt_effects (subject, n) values (${event.subject}, ${(event.data as Logged['data']).n})`),
  })
  const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
  const handled = () => bridge.stats().handlers[0]?.handled ?? 0
  await bridge.start()
  while (handled() === 0) await delay(1)
  const first = handled()
  const started = performance.now()
  while (handled() < events) await delay(2)
  const perSecond = (events - first) / ((performance.now() - started) / 1_000)
  await bridge.stop()
  return perSecond
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

const [events = 20_000, rounds = 5] = argv.slice(2).map(Number)
const { server, store, close } = await openFilledStore(events)
await store.query(`create table hand_inbox (handler text, event_id text, at timestamptz default now(), primary key (handler, event_id));
  create table hand_effects (subject text, n bigint); create table evt_effects (subject text, n bigint)`)
const rates: { hand: number; evt: number; single: number }[] = []
for (let round = 0; round < rounds; round++) {
  await store.query('truncate hand_inbox, hand_effects')
  const hand = await byHand(server.socketUrl, events)
  const evt = await byEvt(server.socketUrl, events, { name: `bench.round${round}` })
  const alone = { name: `bench.alone${round}`, transaction: 'event', concurrency: width } as const
  rates.push({ hand, evt, single: await byEvt(server.socketUrl, events, alone) })
}
const [hand, evt, single] = (['hand', 'evt', 'single'] as const).map((name) => median(rates.map((one) => one[name])))
const counts = (
  await store.query(
    'select (select count(*) from evt_effects)::int as evt, (select count(*) from hand_effects)::int as hand',
  )
).rows[0]
await close()
const isRight = counts?.evt === events * rounds * 2 && counts.hand === events
const told = (rate = 0) => `${Math.round(rate).toLocaleString('en')}/s, ${((rate / (hand ?? 1)) * 100).toFixed(0)} %`
const isMet = isRight && (evt ?? 0) >= (hand ?? 0) * floor
if (!isMet) process.exitCode = 1
stdout.write(
  `by hand ${told(hand)}; evt ${told(evt)} (floor ${floor * 100} %) ${isMet ? 'ok' : 'NOT MET'}${isRight ? '' : ', COUNTS DIFFER'}; a transaction each ${told(single)}\n`,
)
process.exit()
