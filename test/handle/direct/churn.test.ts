import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createEventBus } from '../../../src/event-bus.ts'
import { openTransport } from '../../../src/transports/registry.ts'
import type { BuriedMessage } from '../../../src/transports/transport.ts'
import { onTestFinished } from '../../setup/on-test-finished.ts'
import { startPrivateKafka } from '../../setup/private-kafka.ts'
import { startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import type { ServerName } from '../../setup/server-names.ts'
import { describeWith, describeWithOwn, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'
import { busProcesses, busServers, disorderIn } from './bus-processes.ts'

const subjects = 40
const loadMs = 4_000
const killEveryMs = 1_250

/** A bus that only publishes; the load of some seconds, and how many events that were. */
async function publisher(env: Record<string, string>, topic: string) {
  const bus = createEventBus({ env, cwd: '/', topic, lanes: 8 })
  onTestFinished(() => bus.stop())
  await bus.start()
  const outcomes: Promise<{ readonly state: string }>[] = []
  const next = new Array<number>(subjects).fill(0)
  return {
    bus,
    async load(forMs: number): Promise<number> {
      const endMs = performance.now() + forMs
      while (performance.now() < endMs) {
        for (let subject = 0; subject < subjects; subject++) {
          const n = (next[subject] ?? 0) + 1
          next[subject] = n
          outcomes.push(bus.publish({ type: 'churn.made', subject: `s/${subject}`, data: { n } }))
        }
        await delay(50)
      }
      const states = (await Promise.all(outcomes)).map(({ state }) => state)
      expect(states.filter((state) => state !== 'stored' && state !== 'duplicate')).toEqual([])
      return next.reduce((sum, n) => sum + n, 0)
    },
  }
}

// Beside each other: they wait for who was killed to be missed.
describe.concurrent('processes that are killed', () => {
  for (const { name, env } of busServers) {
    describeWith(name, 'three processes of one group, of which one is killed and one started again and again,', () => {
      it('lose nothing and keep the order of each subject', async () => {
        const environment = env(await serverUrl(name))
        const topic = `churn-${randomUUID().slice(0, 8)}`
        const { load } = await publisher(environment, topic)
        const processes = busProcesses(environment, topic)
        await Promise.all([processes.start(), processes.start(), processes.start()])
        const loading = load(loadMs)
        const endMs = performance.now() + loadMs - 1_000
        while (performance.now() < endMs) {
          await delay(killEveryMs)
          processes.killOldest()
          await processes.start()
        }
        const total = await loading
        await until(() => processes.distinct() === total, { withinMs: 60_000, what: `all of ${total} events` })
        expect(disorderIn(processes.seen())).toEqual([])
        // What a killed process had done and not settled comes again: at most what it may hold.
        expect(processes.seen().length - total).toBeLessThan(total / 4)
      }, 120_000)
    })
  }

  describeWith('redis', 'a handler that ends its process', () => {
    it('ends it as often as it has attempts; then there is one dead letter, and nobody else is harmed', async ({
      onTestFinished,
    }) => {
      const environment = (busServers[0] as (typeof busServers)[number]).env(await serverUrl('redis'))
      const topic = `ends-${randomUUID().slice(0, 8)}`
      const { bus } = await publisher(environment, topic)
      const processes = busProcesses(environment, topic)
      await processes.start()
      for (let n = 1; n <= 60; n++)
        void bus.publish({
          type: 'churn.made',
          subject: `s/${n % 12}`,
          data: { n: Math.ceil(n / 12), kills: n === 27 },
        })
      await bus.flush()
      const transport = await openTransport(await serverUrl('redis'))
      onTestFinished(() => transport.close())
      const dead = async () => {
        const found: BuriedMessage[] = []
        const letters = transport.deadLetters
        for await (const batch of letters?.list(letters.nameOf(topic), AbortSignal.timeout(5_000)) ?? [])
          found.push(...batch)
        return found
      }
      // As a supervisor does.
      for (let starts = 0; starts < 12 && (await dead()).length === 0; starts++) {
        const child = await processes.start()
        await until(async () => child.exitCode !== null || child.signalCode !== null || (await dead()).length > 0, {
          withinMs: 30_000,
        })
      }
      await until(() => processes.distinct() === 60, { withinMs: 20_000 })
      const kills = processes.seen().filter(({ subject, n }) => subject === 's/3' && n === 3)
      expect(kills).toHaveLength(3)
      expect(await dead()).toMatchObject([{ error: { class: 'ProcessEnded' }, attempts: 3, origin: { topic } }])
      expect(disorderIn(processes.seen())).toEqual([])
    }, 120_000)
  })
})

const privates: Partial<Record<ServerName, () => Promise<PrivateServer>>> = {
  redis: startPrivateRedis,
  kafka: startPrivateKafka,
  rabbitmq: startPrivateRabbit,
}
interface PrivateServer {
  readonly url: string
  kill(signal: 'SIGKILL'): Promise<unknown>
  restart(): Promise<unknown>
  stop(): Promise<unknown>
}

for (const { name, env } of busServers) {
  describeWithOwn(name, 'a bus whose broker is killed and started again under load', () => {
    it('loses nothing that was stored, and keeps the order', async () => {
      const server = await (privates[name] as () => Promise<PrivateServer>)()
      onTestFinished(async () => void (await server.stop()))
      const environment = env(server.url)
      const { load } = await publisher(environment, 'restarted')
      const processes = busProcesses(environment, 'restarted')
      await Promise.all([processes.start(), processes.start()])
      const loading = load(loadMs)
      await until(() => processes.distinct() > 500, { withinMs: 20_000 })
      await server.kill('SIGKILL')
      await delay(500)
      await server.restart()
      const total = await loading
      await until(() => processes.distinct() === total, { withinMs: 60_000, what: `all of ${total} events` })
      expect(disorderIn(processes.seen())).toEqual([])
    }, 150_000)
  })
}
