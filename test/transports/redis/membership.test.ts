import { expect, it, onTestFinished } from 'vitest'
import { connectRedis } from '../../../src/transports/redis/connect.ts'
import type { RedisContext } from '../../../src/transports/redis/context.ts'
import { createSeat } from '../../../src/transports/redis/membership.ts'
import { parseRedisUrl } from '../../../src/transports/redis/options.ts'
import { createRedisProblems } from '../../../src/transports/redis/problems.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'

it('a lane that is still being entered is not claimed once more when another could not be entered', async () => {
  const server = await startPrivateRedis()
  onTestFinished(() => server.stop())
  const options = parseRedisUrl(server.url)
  const connections = await connectRedis(options)
  onTestFinished(() => connections.close())
  const signal = new AbortController().signal
  const entered: number[] = []
  const slow = Promise.withResolvers<void>()
  const seat = createSeat({
    context: { connections, options, closing: signal } as unknown as RedisContext,
    topic: { name: 't', ours: true, streams: ['t:0', 't:1'] },
    group: 'g',
    session: 's',
    member: 'm',
    problems: createRedisProblems({ place: options.place, signal }),
    held: () => [],
    async onClaimed(index) {
      entered.push(index)
      if (entered.length === 1) throw new Error('the server went away')
      await slow.promise
    },
    onForgotten() {},
    hurry() {},
  })
  void seat.beat()
  const second = seat.beat()
  await until(() => entered.length >= 2)
  // A beat in between would take a round trip.
  await server.command('ping')
  await server.command('ping')
  expect(entered.toSorted()).toEqual([0, 1])
  slow.resolve()
  await second
})
