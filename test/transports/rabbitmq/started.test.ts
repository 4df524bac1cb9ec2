import { expect, it, onTestFinished } from 'vitest'
import { openRabbit, rabbitCapabilities } from '../../../src/transports/rabbitmq/index.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { createWorld, firstLanes, idsOf, takeExactly } from '../conformance/world.ts'
import { foreignChannel } from './foreign.ts'

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
})
