import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createHistory } from '../../../src/transports/kafka/history.ts'
import { openKafka } from '../../../src/transports/kafka/index.ts'
import type { Received } from '../../../src/transports/transport.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'

/** Has the first `atHand` of its items until more is given. */
function partOf(items: readonly number[], atHand = items.length) {
  let [at, known] = [0, atHand]
  return {
    get isAtEnd() {
      return at >= items.length
    },
    next: () => (at < known ? items[at++] : undefined),
    give(count: number) {
      known += count
    },
  }
}

describe('the history of several partitions', () => {
  it.each([
    ['nothing', [], []],
    ['one as it is', [[3, 1, 2]], [3, 1, 2]],
    ['several by time', [[1, 4, 9], [2, 3, 10], [], [5]], [1, 2, 3, 4, 5, 9, 10]],
    [
      'each in its own order where times go back',
      [
        [1, 8, 2],
        [3, 9],
      ],
      [1, 3, 8, 2, 9],
    ],
  ] as [string, number[][], number[]][])('gives %s', (_what, parts, expected) => {
    const history = createHistory<number>((ms) => ms)
    for (const items of parts) history.add(partOf(items))
    expect([...history.take(2), ...history.take(100)]).toEqual(expected)
    expect(history.isOver).toBe(true)
  })

  it('waits for a part that has nothing at hand, until it is let go', () => {
    const history = createHistory<number>((ms) => ms)
    const late = partOf([2, 3], 0)
    for (const part of [partOf([1, 4]), late]) history.add(part)
    expect(history.take(10)).toEqual([])
    late.give(1)
    expect(history.take(10)).toEqual([1, 2])
    expect(history.letGo()).toEqual([late])
    expect(history.take(10)).toEqual([4])
    expect(history.isOver).toBe(true)
  })
})

describeWith('kafka', 'observing', () => {
  it.each([false, true])('shows the past in the order of time over all partitions (follow: %j)', async (follow) => {
    const transport = await openKafka(await serverUrl('kafka'))
    onTestFinished(() => transport.close())
    const topic = `history-${randomUUID()}`
    onTestFinished(async () => transport.remove?.([topic]))
    await transport.ensure([{ name: topic, lanes: 6 }], 'create')
    const signal = AbortSignal.timeout(20_000)
    const message = (id: string) => ({ id, key: `user/${id}`, headers: {}, body: Buffer.from('{}') })
    const ids = Array.from({ length: 60 }, (_, n) => String(n))
    for (const id of ids) {
      await transport.publish(topic, [message(id)], signal)
      for (const now = Date.now(); Date.now() < now + 2; ) await new Promise(setImmediate)
    }
    const seen: Received[] = []
    const said: string[] = []
    for await (const batch of transport.observe({ topics: [topic], patterns: [] }, { from: 'start', follow, signal })) {
      seen.push(...batch)
      if (!follow || seen.length < ids.length) continue
      if (seen.length >= ids.length + 6) break
      said.push(`live ${said.length}`)
      await transport.publish(topic, [message(said.at(-1) ?? '')], signal)
    }
    expect(seen.map(({ id }) => id)).toEqual([...ids, ...said])
  })
})
