import { setTimeout as wait } from 'node:timers/promises'
import { openStore } from '../../src/store/connection.ts'
import { readLease } from '../../src/store/lease.ts'
import type { Verdict } from './ledger.ts'
import type { World } from './world.ts'

/** How long a scenario goes on making trouble. */
export interface Trouble {
  readonly seconds: number
  /** Between two kills, where the scenario has a beat of its own. */
  readonly everySeconds?: number
}

/** What a scenario found, beside the ledger's verdict. */
export interface Outcome extends Verdict {
  /** Promises of this scenario that did not hold, in words. */
  readonly broken: readonly string[]
  /** What happened and what was measured, in a few words. */
  readonly note: string
}

export const within = 60_000

export async function until(trouble: Trouble, step: () => Promise<void>): Promise<void> {
  const end = performance.now() + trouble.seconds * 1000
  while (performance.now() < end) await step()
}

/** A1: sixteen writers whose transactions stay open for up to half a second, a fifth rolled back, savepoints. */
export async function manyWriters(world: World, trouble: Trouble): Promise<Outcome> {
  await world.startBridge('bridge')
  const shape = { connections: 16, pauseMs: 0, openShare: 1, openMs: 500, rollbackShare: 0.2, savepointShare: 0.5 }
  const writer = await world.startWriter(shape)
  await wait(trouble.seconds * 1000)
  await writer.end('SIGTERM')
  return { ...(await world.settle(within)), broken: [], note: '16 writers' }
}

/** A2: a transaction of another database that has written stays open; whoever waits for `xmin` would stand still. */
export async function idleElsewhere(world: World, trouble: Trouble): Promise<Outcome & Delivery> {
  await world.startBridge('bridge')
  const elsewhere = await openStore(world.server.url, { applicationName: 'faults', max: 1 })
  const idle = await elsewhere.pool.connect()
  try {
    const writer = await world.startWriter({ pauseMs: 10 })
    await wait(trouble.seconds * 250)
    await idle.query('begin')
    const { rows } = await idle.query('select clock_timestamp() as at, pg_current_xact_id()')
    await wait(trouble.seconds * 1000)
    await writer.end('SIGTERM')
    const complete = await world.complete(within)
    const broken = complete ? [] : ['delivery waits for a transaction of another database']
    const delivery = await measureDelivery(world, rows[0].at)
    const note = `p99 of delivery ${delivery.p99Ms.toFixed(1)} ms, before that ${delivery.p99BeforeMs.toFixed(1)} ms`
    return { ...(await world.settle(0)), ...delivery, broken, note }
  } finally {
    await idle.query('rollback')
    idle.release()
    await elsewhere.close()
  }
}

interface Delivery {
  readonly p99Ms: number
  /** While nothing was open elsewhere. */
  readonly p99BeforeMs: number
}

/** From the event's commit to the commit of its effect, as the server noted them. */
async function measureDelivery(world: World, openedAt: Date): Promise<Delivery> {
  const { rows } = await world.store.query(
    `select percentile_cont(0.99) within group (order by ms) filter (where opened)::float8 as during,
       percentile_cont(0.99) within group (order by ms) filter (where not opened)::float8 as before
     from (select pg_xact_commit_timestamp(o.xid::xid) >= $1 as opened,
         1000 * extract(epoch from pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(o.xid::xid)) as ms
       from faults.effects e join evt.outbox o on o.id = e.event_id where e.handler = 'faults.ledger') deliveries`,
    [openedAt],
  )
  return { p99Ms: Number(rows[0]?.during), p99BeforeMs: Number(rows[0]?.before) }
}

/** A6: the bridge is killed at random moments, also while it starts, and another one takes its place. */
export async function killBridge(world: World, trouble: Trouble): Promise<Outcome> {
  // Not more than one bridge works off between two kills.
  const writer = await world.startWriter({ pauseMs: 6 })
  let kills = 0
  let leaders = 0
  let name = 'bridge'
  let next = world.holdBridge(name)
  await until(trouble, async () => {
    const bridge = next
    const instance = name
    kills += 1
    // Its successor has the same name or another one.
    name = world.random() < 0.5 ? name : `bridge-${kills}`
    await bridge.says('loaded')
    bridge.go()
    // Loads meanwhile.
    next = world.holdBridge(name)
    await world.sleep(20, 900)
    await bridge.end('SIGKILL')
    if (await expireLease(world, instance)) leaders += 1
  })
  await writer.end('SIGTERM')
  next.go()
  const verdict = await world.settle(within)
  return { ...verdict, broken: [], note: `${kills} kills, ${leaders} of a leader` }
}

/** What two and a half seconds would do to the lease of a leader that is dead: the next kill meets a relay at work. */
async function expireLease(world: World, dead: string): Promise<boolean> {
  const { rows } = await world.store.query(
    `update evt.relay set lease_until = '-infinity' where leader = $1 and lease_until > clock_timestamp() returning epoch`,
    [dead],
  )
  return rows.length > 0
}

/** A7: the leader is stopped, a standby leads; the leader comes back and finds itself fenced. */
export async function stopLeader(
  world: World,
  trouble: Trouble,
): Promise<Outcome & { readonly takeoverMs: number; readonly fenced: boolean }> {
  const first = await world.startBridge('first')
  await world.startBridge('second')
  const writer = await world.startWriter()
  await world.sleep(500, 1500)
  const before = await head(world)
  await first.end('SIGSTOP')
  const stopped = performance.now()
  // What was sequenced before the stop took effect does not count: the standby has to move the head on its own.
  while ((await readLease(world.store)).leader !== 'second' || (await head(world)) <= before) {
    if (performance.now() - stopped > 20_000) break
    await wait(50)
  }
  const takeoverMs = performance.now() - stopped
  await wait(trouble.seconds * 1000 - takeoverMs)
  const fenced = first.says('fenced').then(() => true)
  await first.end('SIGCONT')
  const isFenced = await Promise.race([fenced, wait(10_000, false)])
  await world.sleep(500, 1500)
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  const broken = [
    ...(takeoverMs < 10_000 ? [] : ['no standby led within 10 s']),
    ...(isFenced ? [] : ['the former leader was not fenced']),
  ]
  return { ...verdict, broken, note: `takeover ${Math.round(takeoverMs)} ms`, takeoverMs, fenced: isFenced }
}

/** A8: connections of bridge and writers are cut, again and again. */
export async function cutConnections(world: World, trouble: Trouble): Promise<Outcome> {
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  const cut = new Map<string, number>()
  await until(trouble, async () => {
    await world.sleep(100, 600)
    const { rows } = await world.store.query(
      `select application_name as who, pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and application_name not in ('faults') and random() < 0.6`,
    )
    for (const { who } of rows as { who: string }[]) cut.set(who, (cut.get(who) ?? 0) + 1)
  })
  await writer.end('SIGTERM')
  const listeners = cut.get('evt relay listener') ?? 0
  const all = [...cut.values()].reduce((sum, count) => sum + count, 0)
  return { ...(await world.settle(within)), broken: [], note: `${all} cut, ${listeners} that listened` }
}

/** A9: PostgreSQL itself is killed, or stopped at once (`pg_ctl -m immediate`), and comes back. */
export async function killPostgres(world: World, trouble: Trouble): Promise<Outcome> {
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  let kills = 0
  let immediate = 0
  await until(trouble, async () => {
    await world.sleep(500, 2000)
    const kill = world.random() < 0.5
    await world.server.kill(kill ? 'SIGKILL' : 'SIGQUIT')
    await world.server.restart()
    if (kill) kills += 1
    else immediate += 1
  })
  await world.sleep(200, 400)
  await writer.end('SIGTERM')
  const note = `${kills} kills, ${immediate} immediate stops`
  return { ...(await world.settle(within)), broken: [], note }
}

/** B, C, D: the broker between store and handlers is killed and comes back; nothing that it lost may be missing. */
export async function killBroker(world: World, trouble: Trouble): Promise<Outcome> {
  const broker = demandBroker(world)
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  const recoveries: number[] = []
  await until(trouble, async () => {
    await world.sleep(1000, 3000)
    await broker.kill('SIGKILL')
    await world.sleep(100, 1000)
    await broker.restart()
    recoveries.push(await recovery(world))
  })
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  const slowest = Math.max(0, ...recoveries)
  const broken = slowest < recoversWithinMs ? [] : [`no effect for ${Math.round(slowest)} ms after the broker was back`]
  const times = recoveries.map((ms) => (ms / 1000).toFixed(1)).join(' ')
  return { ...verdict, broken, note: `${recoveries.length} kills, next effect after ${times} s` }
}

const recoversWithinMs = 10_000

/** From now until a handler has another effect. */
async function recovery(world: World): Promise<number> {
  const effects = async () => {
    const { rows } = await world.store.query('select count(*)::int as count from faults.effects')
    return Number(rows[0]?.count)
  }
  const begun = performance.now()
  const before = await effects()
  while ((await effects()) <= before && performance.now() - begun < within) await wait(20)
  return performance.now() - begun
}

export function demandBroker({ broker }: World): NonNullable<World['broker']> {
  if (broker) return broker
  throw new Error('this scenario needs a broker')
}

/** Three bridges, of which one after the other is killed, or ends in order, when the next one runs. */
export async function churn(world: World, trouble: Trouble): Promise<Outcome> {
  const beatMs = (trouble.everySeconds ?? 1) * 1000
  const running = await Promise.all(['a', 'b', 'c'].map((name) => world.startBridge(name)))
  // Not more than three bridges work off, of which one is always coming or going.
  const writer = await world.startWriter({ connections: 6, pauseMs: 10 })
  const ends = { SIGKILL: 0, SIGTERM: 0 }
  let next = world.holdBridge('next-1')
  await until(trouble, async () => {
    await world.sleep(beatMs * 0.8, beatMs * 1.2)
    const [victim] = running.splice(Math.floor(world.random() * running.length), 1)
    const signal = world.random() < 0.7 ? 'SIGKILL' : 'SIGTERM'
    ends[signal] += 1
    next.go()
    await next.ready
    running.push(next)
    // Loads meanwhile.
    next = world.holdBridge(`next-${ends.SIGKILL + ends.SIGTERM + 1}`)
    await victim?.end(signal)
  })
  await writer.end('SIGTERM')
  const note = `${ends.SIGKILL} killed, ${ends.SIGTERM} stopped`
  return { ...(await world.settle(within)), broken: [], note }
}

async function head(world: World): Promise<bigint> {
  const { rows } = await world.store.query('select coalesce(max(position), 0)::text as head from evt.log')
  return BigInt(String(rows[0]?.head))
}
