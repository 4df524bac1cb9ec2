import { expect, it, onTestFinished } from 'vitest'
import { openRabbit, rabbitCapabilities } from '../../../src/transports/rabbitmq/index.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { createWorld, firstLanes, idsOf, takeExactly, until } from '../conformance/world.ts'
import { depthOf, foreignChannel } from './foreign.ts'

/** An owner behind a proxy: what ends with its connection is as good as killed. */
async function withOwner() {
  const url = await serverUrl('rabbitmq')
  const proxy = await startTcpProxy(Number(new URL(url).port))
  onTestFinished(() => proxy.close())
  const world = createWorld({ open: () => openRabbit(url), capabilities: rabbitCapabilities }, 1)
  const heir = await world.open()
  const owner = await openRabbit(proxy.through(url))
  onTestFinished(() => owner.close())
  const laneOf = async (transport: typeof heir) => {
    const [lane] = await firstLanes(world, transport, 1, { patterns: [] })
    if (lane === undefined) throw new Error('no lane')
    return lane
  }
  return { url, proxy, world, heir, owner, laneOf }
}

const facts = (received: readonly { readonly id: string; readonly deliveries: number }[]) =>
  received.map(({ id, deliveries }) => ({ id, deliveries }))

describeWith('rabbitmq', 'what an owner has begun', () => {
  it('comes to the next one alone, also what has no id; what was only fetched comes as new', async () => {
    const { url, proxy, world, heir, owner, laneOf } = await withOwner()
    const lane = await laneOf(owner)
    const foreign = await foreignChannel(url)
    for (const body of ['one', 'two', 'three'])
      await foreign.basicPublish({ exchange: world.topic, routingKey: '0.foreign', durable: true }, Buffer.from(body))
    await takeExactly(lane, 1)
    proxy.cut()
    const next = await laneOf(heir)
    const first = await next.take(10, AbortSignal.timeout(10_000))
    expect(first.map(({ body, deliveries }) => [Buffer.from(body).toString(), deliveries])).toEqual([['one', 2]])
    await next.settle(first)
    const rest = await takeExactly(next, 2)
    expect(rest.map(({ body, deliveries }) => [Buffer.from(body).toString(), deliveries])).toEqual([
      ['two', 1],
      ['three', 1],
    ])
  })

  it('is told apart from what was acknowledged out of turn, and from what was given back', async () => {
    const { proxy, world, heir, owner, laneOf } = await withOwner()
    const lane = await laneOf(owner)
    const messages = world.messages(6, 1)
    await world.publish(heir, messages)
    const taken = await takeExactly(lane, 4)
    await lane.settle(taken.slice(3))
    await lane.settle(taken.slice(1, 2))
    await lane.release()
    const again = await laneOf(owner)
    expect(facts(await takeExactly(again, 4)).map(({ deliveries }) => deliveries)).toEqual([1, 1, 1, 1])
    proxy.cut()
    const next = await laneOf(heir)
    const seen = []
    while (seen.length < 4) {
      const batch = await next.take(10, AbortSignal.timeout(10_000))
      expect(batch).toHaveLength(1)
      seen.push(...batch)
      await next.settle(batch)
    }
    const left = [0, 2, 4, 5].map((i) => messages[i]?.id)
    expect(facts(seen)).toEqual(left.map((id) => ({ id, deliveries: 2 })))
  })

  it('is forgotten when it was settled: a dead letter that is replayed begins anew', async () => {
    const { proxy, world, heir, owner, laneOf } = await withOwner()
    const lane = await laneOf(owner)
    const messages = world.messages(1, 1)
    await world.publish(heir, messages)
    await takeExactly(lane, 1)
    proxy.cut()
    const second = await laneOf(heir)
    const suspects = await takeExactly(second, 1)
    expect(facts(suspects)).toEqual([{ id: idsOf(messages)[0], deliveries: 2 }])
    await second.settle(suspects)
    await second.release()
    await world.publish(heir, messages)
    expect(facts(await takeExactly(await laneOf(heir), 1))).toEqual([{ id: idsOf(messages)[0], deliveries: 1 }])
  })

  it('is forgotten with what was settled, also of what has no id and looks alike', async () => {
    const { url, world, heir, owner, laneOf } = await withOwner()
    await (await laneOf(heir)).release()
    const foreign = await foreignChannel(url)
    const tick = () =>
      foreign.basicPublish({ exchange: world.topic, routingKey: '0.foreign', durable: true }, Buffer.from('tick'))
    for (let pass = 0; pass < 3; pass++) {
      await tick()
      const lane = await laneOf(owner)
      await lane.settle(await takeExactly(lane, 1))
      await lane.release()
      expect(await markOf(url, world)).toEqual([])
    }
    await tick()
    await tick()
    const last = await laneOf(owner)
    const taken = await takeExactly(last, 1)
    // Both were fetched, and one was begun.
    await until('both are fetched', async () => (await depthOf(url, `${world.topic}/${world.group}/0`)) === 0)
    await last.settle(taken)
    await last.release()
    expect((await takeExactly(await laneOf(heir), 1)).map(({ deliveries }) => deliveries)).toEqual([1])
  })

  it('is forgotten when what was never fetched is reached: what comes back comes first', async () => {
    const { url, proxy, world, heir, owner, laneOf } = await withOwner()
    const lane = await laneOf(owner)
    await world.publish(heir, world.messages(5, 1))
    await lane.settle(await takeExactly(lane, 5))
    await until('they are acknowledged', async () => (await heir.inspect([world.topic])).groups[0]?.lagMessages === 0)
    proxy.cut()
    const next = await laneOf(heir)
    const fresh = world.messages(1, 1)
    await world.publish(heir, fresh)
    await takeExactly(next, 1)
    expect(await markOf(url, world)).toEqual([[fresh[0]?.id, 1]])
  })

  it("is nobody's death where the same process has it again: its connection was lost", async () => {
    const { proxy, world, heir, owner, laneOf } = await withOwner()
    let lane = await laneOf(owner)
    const messages = world.messages(2, 1)
    await world.publish(heir, messages)
    for (let cuts = 0; cuts < 3; cuts++) {
      expect(facts(await takeExactly(lane, 2))).toEqual(idsOf(messages).map((id) => ({ id, deliveries: 1 })))
      proxy.cut()
      lane = await laneOf(owner)
    }
    expect(facts(await takeExactly(lane, 2)).map(({ deliveries }) => deliveries)).toEqual([1, 1])
    proxy.cut()
    const next = await laneOf(heir)
    expect(facts(await takeExactly(next, 1)).map(({ deliveries }) => deliveries)).toEqual([2])
  })

  it('is marked also where somebody deleted its queue, and that is told', async () => {
    const { url, world, heir, laneOf } = await withOwner()
    const problems: Error[] = []
    const owner = await openRabbit(url, { onProblem: (error) => problems.push(error) })
    onTestFinished(() => owner.close())
    const lane = await laneOf(owner)
    const queue = markQueueOf(world)
    const foreign = await foreignChannel(url)
    await foreign.queueDelete({ queue })
    const messages = world.messages(1, 1)
    await world.publish(heir, messages)
    await takeExactly(lane, 1)
    expect(await markOf(url, world)).toEqual([[messages[0]?.id, 1]])
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining(`${queue} was deleted`)])
  })
})

const markQueueOf = ({ topic, group }: { readonly topic: string; readonly group: string }) =>
  `${topic}/${group}/0/started`

/** Identities and their owners, as the lane's last mark has them. */
async function markOf(url: string, world: { readonly topic: string; readonly group: string }) {
  const foreign = await foreignChannel(url)
  const mark = await foreign.basicGet({ queue: markQueueOf(world) })
  if (mark === undefined) return undefined
  foreign.basicNack({ deliveryTag: mark.deliveryTag, requeue: true })
  const { started } = JSON.parse(String(mark.body)) as { started: [string, number][] }
  // The queue has it again when the channel's answer is there.
  await foreign.queueDeclare({ queue: markQueueOf(world), passive: true })
  return started.map(([identity, owners]) => [identity, owners])
}
