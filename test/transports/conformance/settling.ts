import { expect, it } from 'vitest'
import type { Lane } from '../../../src/transports/transport.ts'
import { never } from './waiting.ts'
import { createWorld, firstLanes, idsOf, means, type Setup, takeExactly, type World } from './world.ts'

async function oneLane(world: World, count: number, prefetch = 100) {
  const transport = await world.open()
  const messages = world.messages(count, 1)
  await world.publish(transport, messages)
  const lane = await nextLane(world, transport, prefetch)
  return { transport, messages, lane }
}

async function nextLane(world: World, transport: Awaited<ReturnType<World['open']>>, prefetch = 100): Promise<Lane> {
  const [lane] = await firstLanes(world, transport, 1, { prefetch })
  if (lane === undefined) throw new Error('no lane')
  return lane
}

export function settling(setup: Setup): void {
  it('never hands out more unsettled messages than the prefetch, and goes on after a settle', async () => {
    const world = createWorld(setup, 1)
    const { messages, lane } = await oneLane(world, 12, 5)
    const first = await takeExactly(lane, 5)
    const more: string[] = []
    const next = lane.take(100, AbortSignal.timeout(20_000)).then((batch) => more.push(...idsOf(batch)))
    await never('a sixth message', () => more.length > 0)
    await lane.settle(first.slice(0, 2))
    await next
    expect(more.length).toBeLessThanOrEqual(2)
    expect(more).toEqual(idsOf(messages.slice(5, 5 + more.length)))
  })

  it('gives what is unsettled to the next owner, in order, and not as started', async () => {
    const world = createWorld(setup, 1)
    const { transport, messages, lane } = await oneLane(world, 10)
    const taken = await takeExactly(lane, 6)
    await lane.settle(taken.slice(0, 4))
    await lane.release()
    const again = await takeExactly(await nextLane(world, transport), 6)
    expect(idsOf(again)).toEqual(idsOf(messages.slice(4)))
    if (setup.capabilities.marksStarted) expect(again.every(({ deliveries }) => deliveries === 1)).toBe(true)
  })

  it('settles in any order; only a settled prefix is behind the next owner', async () => {
    const world = createWorld(setup, 1)
    const { transport, messages, lane } = await oneLane(world, 10)
    const taken = await takeExactly(lane, 10)
    for (const i of [9, 3, 1, 0, 7]) await lane.settle(taken.slice(i, i + 1))
    await lane.release()
    // 3, 7 and 9 may come again: they were not in the prefix. 2, 4, 5, 6, 8 must.
    const next = await nextLane(world, transport)
    const again = new Set<string>()
    while (!again.has(messages[8]?.id ?? '')) for (const { id } of await takeExactly(next, 1)) again.add(id)
    const missing = [2, 4, 5, 6, 8].filter((i) => !again.has(messages[i]?.id ?? ''))
    expect(missing).toEqual([])
    const order = messages.map(({ id }) => id).filter((id) => again.has(id))
    expect([...again]).toEqual(order)
    expect(again.has(messages[0]?.id ?? '') || again.has(messages[1]?.id ?? '')).toBe(false)
  })

  it('takes a second settle of the same message for nothing', async () => {
    const world = createWorld(setup, 1)
    const { messages, lane } = await oneLane(world, 4, 2)
    const first = await takeExactly(lane, 2)
    await lane.settle(first)
    await lane.settle(first)
    await lane.settle([])
    const second = await takeExactly(lane, 2)
    expect(idsOf(second)).toEqual(idsOf(messages.slice(2)))
    await lane.settle(first)
    const more = lane.take(1, AbortSignal.timeout(200))
    expect(await more).toEqual([])
  })

  it('ends a waiting take when its signal aborts, and the lane works on', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const lane = await nextLane(world, transport)
    const waiting = new AbortController()
    const took = lane.take(1, waiting.signal)
    waiting.abort()
    expect(await took).toEqual([])
    const [message] = world.messages(1, 1)
    if (message) await world.publish(transport, [message])
    expect(idsOf(await takeExactly(lane, 1))).toEqual([message?.id])
  })

  it('hands out and settles nothing after a release, and releases twice without harm', async () => {
    const world = createWorld(setup, 1)
    const { transport, messages, lane } = await oneLane(world, 3)
    const taken = await takeExactly(lane, 3)
    await lane.release()
    expect(lane.lost.aborted).toBe(true)
    await lane.settle(taken)
    await lane.release()
    expect(await lane.take(1, AbortSignal.timeout(5_000))).toEqual([])
    const next = await nextLane(world, transport)
    expect(next.epoch).toBeGreaterThan(lane.epoch)
    expect(idsOf(await takeExactly(next, 3))).toEqual(idsOf(messages))
  })

  it.skipIf(!setup.capabilities.transactional)(
    'settles with the transaction of the caller, or not at all',
    async () => {
      const world = createWorld(setup, 1)
      const { transport, messages, lane } = await oneLane(world, 6)
      const taken = await takeExactly(lane, 6)
      const settleIn = transport.settleIn?.bind(transport)
      const transaction = means(setup, 'transaction')
      if (settleIn === undefined) throw new Error('capability without method')
      await transaction((sql) => settleIn(sql, [{ lane, done: taken.slice(0, 2) }]))
      await lane.settle(taken.slice(0, 2))
      const rolledBack = transaction(async (sql) => {
        await settleIn(sql, [{ lane, done: taken.slice(2, 4) }])
        throw new Error('the effect failed')
      })
      await expect(rolledBack).rejects.toThrow('the effect failed')
      await lane.release()
      const again = await takeExactly(await nextLane(world, transport), 4)
      expect(idsOf(again)).toEqual(idsOf(messages.slice(2)))
    },
  )

  it.skipIf(!setup.capabilities.transactional)(
    'refuses as fenced to settle in a transaction what it no longer owns',
    async () => {
      const world = createWorld(setup, 1)
      const { transport, messages, lane } = await oneLane(world, 4)
      const taken = await takeExactly(lane, 2)
      await lane.release()
      const next = await nextLane(world, transport)
      const late = (done: typeof taken) =>
        means(setup, 'transaction')(async (sql) => transport.settleIn?.(sql, [{ lane, done }]))
      await expect(late(taken)).rejects.toMatchObject({ code: 'fenced' })
      await expect(late([])).rejects.toMatchObject({ code: 'fenced' })
      expect(idsOf(await takeExactly(next, 4))).toEqual(idsOf(messages))
    },
  )

  it.skipIf(!setup.capabilities.transactional)(
    'commits nothing when the commit was sent behind a settling that is fenced',
    async () => {
      const world = createWorld(setup, 1)
      const { transport, lane } = await oneLane(world, 1)
      const taken = await takeExactly(lane, 1)
      await lane.release()
      let transaction = ''
      const behind = means(
        setup,
        'transaction',
      )(async (sql) => {
        const { rows } = await sql.query('select pg_current_xact_id()::text as id')
        transaction = String(rows[0]?.id)
        transport.settleIn?.(sql, [{ lane, done: taken }]).catch(() => {})
      })
      await expect(behind).rejects.toThrow('cannot commit')
      await means(
        setup,
        'transaction',
      )(async (sql) => {
        const { rows } = await sql.query('select pg_xact_status($1::text::xid8) as status', [transaction])
        expect(rows[0]?.status).toBe('aborted')
      })
    },
  )
}
