import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Verdict } from './ledger.ts'
import type { World } from './world.ts'

/** How long a scenario goes on making trouble. */
export interface Trouble {
  readonly seconds: number
}

const within = 60_000

async function until(trouble: Trouble, step: () => Promise<void>): Promise<void> {
  const end = performance.now() + trouble.seconds * 1000
  while (performance.now() < end) await step()
}

/** A6: the bridge is killed at random moments and started again. */
export async function killBridge(world: World, trouble: Trouble): Promise<Verdict> {
  const writer = await world.startWriter()
  await until(trouble, async () => {
    const bridge = await world.startBridge('bridge')
    await world.sleep(20, 900)
    await bridge.end('SIGKILL')
  })
  await writer.end('SIGTERM')
  await world.startBridge('last')
  return world.settle(within)
}

/** A7: the leader is stopped, a standby leads; the leader comes back and finds itself fenced. */
export async function stopLeader(world: World, trouble: Trouble): Promise<Verdict & { readonly takeoverMs: number }> {
  const first = await world.startBridge('first')
  await world.startBridge('second')
  const writer = await world.startWriter()
  await world.sleep(500, 1500)
  const before = await head(world)
  await first.end('SIGSTOP')
  const stopped = performance.now()
  // What was sequenced before the stop took effect does not count: the standby has to move the head on its own.
  while ((await leader(world)) !== 'second' || (await head(world)) <= before) {
    if (performance.now() - stopped > 20_000) break
    await wait(50)
  }
  const takeoverMs = performance.now() - stopped
  await wait(trouble.seconds * 500)
  await first.end('SIGCONT')
  await wait(trouble.seconds * 500)
  await writer.end('SIGTERM')
  return { ...(await world.settle(within)), takeoverMs }
}

/** A8: connections of bridge and writers are cut, again and again. */
export async function cutConnections(world: World, trouble: Trouble): Promise<Verdict> {
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  await until(trouble, async () => {
    await world.sleep(100, 600)
    await world.store.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and application_name not in ('faults') and random() < 0.6`,
    )
  })
  await writer.end('SIGTERM')
  return world.settle(within)
}

/** A9: PostgreSQL itself is killed and comes back. */
export async function killPostgres(world: World, trouble: Trouble): Promise<Verdict> {
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  await until(trouble, async () => {
    await world.sleep(500, 2000)
    await world.server.kill('SIGKILL')
    await world.server.restart()
  })
  await world.sleep(200, 400)
  await writer.end('SIGTERM')
  return world.settle(within)
}

/** Bridges come and go while others work. */
export async function churn(world: World, trouble: Trouble): Promise<Verdict> {
  const writer = await world.startWriter({ connections: 6 })
  const running = await Promise.all(['a', 'b', 'c'].map((name) => world.startBridge(name)))
  let started = 0
  await until(trouble, async () => {
    await world.sleep(800, 1200)
    started += 1
    const victim = running.shift()
    running.push(await world.startBridge(`next-${started}`))
    await victim?.end(world.random() < 0.7 ? 'SIGKILL' : 'SIGTERM')
  })
  await writer.end('SIGTERM')
  return world.settle(within)
}

export interface ExitVerdict {
  /** Dead letters of the event that ends the process: one. */
  readonly deadLetters: number
  readonly attemptsOfGuilty: number
  /** The most often that any innocent event was started. */
  readonly mostAttemptsOfBystander: number
  readonly bystandersHandled: number
}

/** A handler ends its own process: one dead letter after five attempts, and bystanders hardly notice. */
export async function exitingHandler(world: World, bystanders: number): Promise<ExitVerdict> {
  for (let index = 0; index < bystanders; index++) {
    const data = JSON.stringify({ sequence: index, kills: index === Math.floor(bystanders / 2) })
    await world.store.query(`select evt.publish('fault.exit', $1::json, $2)`, [data, `account/${index}`])
  }
  const deadline = performance.now() + within
  let restarts = 0
  let bridge = await world.startBridge('exiting-0')
  while (performance.now() < deadline) {
    if (bridge.gone) {
      restarts += 1
      bridge = await world.startBridge(`exiting-${restarts}`)
    }
    const { rows } = await world.store.query(
      `select (select count(*) from faults.effects)::int as done, (select count(*) from evt.dead_letters)::int as dead`,
    )
    if (Number(rows[0]?.done) === bystanders - 1 && Number(rows[0]?.dead) === 1) break
    await wait(100)
  }
  return exitVerdict(world)
}

async function exitVerdict(world: World): Promise<ExitVerdict> {
  const counts = new Map<string, number>()
  for (const line of existsSync(world.attemptsFile)
    ? readFileSync(world.attemptsFile, 'utf8').split('\n').filter(Boolean)
    : []) {
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  const { rows: dead } = await world.store.query('select event_id from evt.dead_letters')
  const { rows: done } = await world.store.query('select count(distinct event_id)::int as handled from faults.effects')
  const guilty = `faults.exiting ${dead[0]?.event_id}`
  const others = [...counts].filter(([key]) => key !== guilty).map(([, count]) => count)
  return {
    deadLetters: dead.length,
    attemptsOfGuilty: counts.get(guilty) ?? 0,
    mostAttemptsOfBystander: Math.max(0, ...others),
    bystandersHandled: Number(done[0]?.handled),
  }
}

async function leader(world: World): Promise<string | undefined> {
  const { rows } = await world.store.query(
    'select instance from evt.instances where leader order by beat_at desc limit 1',
  )
  return rows[0]?.instance as string | undefined
}

async function head(world: World): Promise<bigint> {
  const { rows } = await world.store.query('select coalesce(max(position), 0)::text as head from evt.log')
  return BigInt(String(rows[0]?.head))
}
