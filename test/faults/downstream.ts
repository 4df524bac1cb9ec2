// What handlers call is gone for a while: two bridges stop calling it, and go on when it is back.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { type Outcome, type Trouble, within } from './scenarios.ts'
import type { World } from './world.ts'

export const mailer = 'faults.mailer'

export interface BreakerOutcome extends Outcome {
  /** From the first moment without downstream, and with it again, until the last of the two bridges had noticed. */
  readonly pausedMs: number
  readonly resumedMs: number
  /** How often breakers opened: of the handler with the downstream, and of the one with a hot poison subject. */
  readonly trips: number
  readonly poisonTrips: number
  readonly poisonDead: number
}

const hotEvents = 40

/** The circuit breaker: `seconds` without the downstream, while one hot subject of another handler is poison. */
export async function brokenDownstream(world: World, { seconds }: Trouble): Promise<BreakerOutcome> {
  await using downstream = await startDownstream()
  const names = ['one', 'two']
  const bridges = await Promise.all(names.map((name) => world.startBridge(name, { downstream: downstream.url })))
  const everyBridge = (word: string) => Promise.all(bridges.map((bridge) => bridge.says(word)))
  // A hundred events a second.
  const writer = await world.startWriter({ pauseMs: 40 })
  await downstream.answered(names, 20)
  const paused = since(everyBridge('open'))
  downstream.gone(true)
  const pausedMs = await atMost(paused, seconds * 1000 + within)
  await publishPoison(world)
  const calls = downstream.refused()
  await wait(Math.max(0, seconds * 1000 - pausedMs))
  const probes = downstream.refused() - calls
  const resumed = since(everyBridge('closed'))
  downstream.gone(false)
  const resumedMs = await atMost(resumed, within)
  await downstream.answered(names, 5)
  await writer.end('SIGTERM')
  const poisonDead = await poisoned(world)
  const verdict = await world.settle(within)
  const trips = await tripsOf(world)
  const note = `paused in ${Math.round(pausedMs)} ms, ${probes} probes, resumed in ${Math.round(resumedMs)} ms, ${trips.get(mailer) ?? 0} trips, ${poisonDead} of the poison dead`
  return {
    ...verdict,
    dead: verdict.dead - poisonDead,
    broken: [],
    ...{ note, pausedMs, resumedMs, poisonDead },
    trips: trips.get(mailer) ?? 0,
    poisonTrips: trips.get('faults.poisoned') ?? 0,
  }
}

const since = async (happens: Promise<unknown>) => {
  const begun = performance.now()
  await happens
  return performance.now() - begun
}

/** Infinity when it took longer. */
const atMost = (timed: Promise<number>, ms: number) =>
  Promise.race([timed, wait(ms, Number.POSITIVE_INFINITY, { ref: false })])

interface Downstream extends AsyncDisposable {
  readonly url: string
  gone(state: boolean): void
  refused(): number
  /** Resolves when it has answered each of them so many times since it was last gone. */
  answered(names: readonly string[], times: number): Promise<void>
}

async function startDownstream(): Promise<Downstream> {
  let isGone = false
  let refused = 0
  const answered = new Map<string, number>()
  const server = createServer((request, response) => {
    if (isGone) {
      refused += 1
      request.socket.destroy()
      return
    }
    const name = request.url?.slice(1) ?? ''
    answered.set(name, (answered.get(name) ?? 0) + 1)
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    gone(state) {
      isGone = state
      answered.clear()
    },
    refused: () => refused,
    async answered(names, times) {
      const deadline = performance.now() + within
      while (!names.every((name) => (answered.get(name) ?? 0) >= times)) {
        if (performance.now() > deadline) throw new Error(`only ${JSON.stringify([...answered])} asked the downstream`)
        await wait(10)
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const publishPoison = (world: World) =>
  world.store.query(
    `select evt.publish('fault.poison', '{}', case when n % 8 = 0 then 'cold/' || n else 'hot' end) from generate_series(0, $1::int) n`,
    [hotEvents],
  )

/** Waits until nothing of it is left. */
async function poisoned(world: World): Promise<number> {
  const deadline = performance.now() + within
  for (;;) {
    const { rows } = await world.store.query(
      `select (select count(*) from evt.dead_letters where handler = 'faults.poisoned')::int as dead,
         (select count(*) from evt.outbox where type = 'fault.poison' and subject = 'hot')::int as hot`,
    )
    const { dead, hot } = rows[0] as { dead: number; hot: number }
    if (dead >= hot || performance.now() > deadline) return dead
    await wait(20)
  }
}

async function tripsOf(world: World): Promise<ReadonlyMap<string, number>> {
  const { rows } = await world.store.query('select handler, trips::int from evt.breakers')
  return new Map((rows as { handler: string; trips: number }[]).map(({ handler, trips }) => [handler, trips]))
}
