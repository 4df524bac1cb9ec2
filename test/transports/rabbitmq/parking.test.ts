import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { openLink } from '../../../src/transports/rabbitmq/connect.ts'
import type { Delivery } from '../../../src/transports/rabbitmq/driver.ts'
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'
import { holdQueue } from '../../../src/transports/rabbitmq/looking.ts'
import { parseRabbitUrl } from '../../../src/transports/rabbitmq/options.ts'
import { createNowhere, runHere } from '../../commands/evt.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../conformance/world.ts'
import { depthOf, foreignChannel } from './foreign.ts'

/** Messages that died of a rejection, in a quorum queue that gives them up after so many looks. */
async function withDead(count: number, limit: number) {
  const url = await serverUrl('rabbitmq')
  const foreign = await foreignChannel(url)
  const queue = `orders-${randomUUID().slice(0, 8)}`
  const dead = `${queue}.dead`
  await foreign.queueDeclare({
    queue: dead,
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': limit },
  })
  const toDead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead }
  await foreign.queueDeclare({ queue, durable: true, arguments: toDead })
  onTestFinished(async () => {
    for (const name of [queue, dead, `${dead}.parking`]) await foreign.queueDelete({ queue: name })
  })
  const bodies = Array.from({ length: count }, (_, n) => n)
  await Promise.all(
    bodies.map((n) =>
      foreign.basicPublish({ routingKey: queue, durable: true, messageId: `m${n}` }, Buffer.from(`${n}`)),
    ),
  )
  const { consumerTag } = await foreign.basicConsume({ queue }, ({ deliveryTag }) =>
    foreign.basicNack({ deliveryTag, requeue: false }),
  )
  await until('all are dead', async () => (await depthOf(url, dead)) === count)
  await foreign.basicCancel(consumerTag)
  return { url, queue, dead, parking: `${dead}.parking` }
}

/** Without ids, and all the same. */
async function withAlike(count: number) {
  const queues = await withDead(0, 20)
  const foreign = await foreignChannel(queues.url)
  const tick = Buffer.from('tick')
  const one = () => foreign.basicPublish({ routingKey: queues.dead, durable: true }, tick)
  await Promise.all(Array.from({ length: count }, one))
  return { ...queues, foreign }
}

/** As evt makes it. */
const parkingArguments = { 'x-queue-type': 'classic', 'x-overflow': 'reject-publish' } as const

const of = (url: string, queue: string) => `${url}?queue=${encodeURIComponent(queue)}`

describeWith('rabbitmq', 'dead letters that no look may touch', () => {
  it('are moved beside with consent, and are listed and replayed there', async () => {
    const { url, queue, dead, parking } = await withDead(12, 1)
    const nowhere = createNowhere()
    onTestFinished(() => nowhere.dispose())
    const evt = (...words: string[]) => runHere(['dlq', ...words], { cwd: nowhere.path })
    const refused = await evt('list', '-s', of(url, dead))
    expect(refused).toMatchObject({
      exit: 4,
      stdout: '',
      stderr: expect.stringContaining('evt dlq list --move-beside'),
    })
    expect(await depthOf(url, dead)).toBe(12)
    const unasked = await evt('list', '--move-beside', '-s', of(url, dead))
    expect(unasked).toMatchObject({ exit: 4, stderr: expect.stringContaining('would move 12 dead letters') })
    const plan = await evt('list', '--move-beside', '--dry-run', '-s', of(url, dead))
    expect(plan).toMatchObject({ exit: 0, stdout: expect.stringContaining('would move 12 dead letters') })
    expect(await depthOf(url, dead)).toBe(12)
    const first = await evt('list', '--move-beside', '--yes', '--flat', '--json', '-s', of(url, dead))
    expect(first).toMatchObject({ exit: 0, stderr: expect.stringContaining(`moved 12 to ${parking}`) })
    const rows = (stdout: string) => JSON.parse(stdout).data.letters as { eventId: string; error: string }[]
    expect(rows(first.stdout).map(({ eventId }) => eventId)).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`))
    expect(rows(first.stdout)[0]?.error).toContain('rejected')
    for (let look = 0; look < 3; look++)
      expect(
        rows((await evt('list', '--move-beside', '--yes', '--flat', '--json', '-s', of(url, dead))).stdout),
      ).toEqual(rows(first.stdout))
    await evt('replay', '--ids', 'm3,m5', '--yes', '--settle', '0s', '-s', of(url, parking))
    expect([await depthOf(url, parking), await depthOf(url, queue), await depthOf(url, dead)]).toEqual([10, 2, 0])
  }, 40_000)

  it('are neither lost nor doubled when whoever moves them is killed on the way', async () => {
    const count = 3_000
    const { url, dead, parking } = await withDead(count, 3)
    const child = fork(new URL('./parking-process.ts', import.meta.url), [url, dead], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const foreign = await foreignChannel(url)
    await foreign.queueDeclare({ queue: parking, durable: true, arguments: parkingArguments })
    const moved = async () => (await foreign.queueDeclare({ queue: parking, passive: true })).messageCount
    await until('it has begun', async () => (await moved()) > 0, 20_000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const transport = await openRabbit(url)
    onTestFinished(() => transport.close())
    const letters = transport.deadLetters
    const before = await moved()
    expect(await letters?.moveBeside?.(dead, AbortSignal.timeout(20_000))).toBeLessThanOrEqual(count - before)
    const ids: string[] = []
    for await (const batch of letters?.list(parking, AbortSignal.timeout(20_000)) ?? [])
      ids.push(...batch.map(({ message }) => message.id))
    expect(new Set(ids).size).toBe(count)
    expect(ids).toHaveLength(count)
    expect(await depthOf(url, dead)).toBe(0)
  }, 60_000)

  it('lie beside once each after one move, also where they look alike', async () => {
    const { url, dead, parking } = await withAlike(1_500)
    const transport = await openRabbit(url)
    onTestFinished(() => transport.close())
    expect(await transport.deadLetters?.moveBeside?.(dead, AbortSignal.timeout(20_000))).toBe(1_500)
    expect([await depthOf(url, dead), await depthOf(url, parking)]).toEqual([0, 1_500])
  }, 40_000)

  it('are gone when they were removed, however many there are when the look ends', async () => {
    const { url, dead } = await withAlike(2_400)
    const link = await openLink(parseRabbitUrl(url), 'test')
    onTestFinished(() => link.close())
    for (let left = 2_400; left > 100; left /= 2) {
      const held = await holdQueue(link, dead)
      const all: Delivery[] = []
      for await (const batch of held.batches(AbortSignal.timeout(20_000))) all.push(...batch)
      held.remove(all.filter((_, n) => n % 2 === 1))
      await held.giveBack()
      expect([all.length, await depthOf(url, dead)]).toEqual([left, left / 2])
    }
  }, 40_000)

  it('are not lost where they have no id and look alike, also when whoever moves them is interrupted', async () => {
    const count = 1_500
    const { url, dead, parking, foreign } = await withAlike(count)
    await foreign.queueDeclare({ queue: parking, durable: true, arguments: parkingArguments })
    const transport = await openRabbit(url)
    onTestFinished(() => transport.close())
    const move = (signal: AbortSignal) => transport.deadLetters?.moveBeside?.(dead, signal)
    const depth = async () => (await foreign.queueDeclare({ queue: parking, passive: true })).messageCount
    const stopping = new AbortController()
    const first = move(stopping.signal)?.catch(() => {})
    await until('it has begun', async () => (await depth()) > 0, 20_000)
    stopping.abort()
    await first
    await move(AbortSignal.timeout(20_000))
    expect(await depthOf(url, dead)).toBe(0)
    // Of what the interrupted move had on its way nobody knows whether it lies there.
    expect(await depth()).toBeGreaterThanOrEqual(count)
  }, 60_000)
})
