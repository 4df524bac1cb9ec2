import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '../../../src/core/random.ts'
import { idKeys, laneKey } from '../../../src/transports/redis/topic.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'
import { connect, openTransport } from './sink.ts'

const uuid = (n: number) => `01936b2e-7c00-7000-8000-${String(n).padStart(12, '0')}`
const range = (from: number, count: number, step = 1) => Array.from({ length: count }, (_, i) => from + i * step)

// Batches whose ids grow are kept as runs, all others id by id: an id is a duplicate when it was published in the window, and only then.
describe('the duplicate window of ids that grow', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  /** A topic of one lane, and how its window keeps what it knows. */
  async function fresh(query = '') {
    await redis.command('flushall')
    const transport = await openTransport(redis.url + query)
    await transport.ensure([{ name: 'topic', lanes: 1 }], 'create')
    const client = connect(redis.url)
    const publish = async (ids: readonly (number | string)[], body = '1') => {
      const message = (id: number | string) => ({
        id: typeof id === 'number' ? uuid(id) : id,
        key: null,
        headers: {},
        body: Buffer.from(body),
      })
      const results = await transport.publish('topic', ids.map(message), AbortSignal.timeout(20_000))
      return results.map(({ state }) => state)
    }
    const sizes = async () => {
      const [a = '', b = '', runsA = '', runsB = ''] = idKeys('topic')
      const runs = await Promise.all([runsA, runsB].map((key) => client.zrangebylex(key, '-', '+')))
      const sets = await Promise.all([a, b].map((key) => client.scard(key)))
      return { sets, runs: runs.map((members) => members.map((member) => member.split(' ').length)) }
    }
    return { client, publish, sizes }
  }

  it('finds a whole run again, parts of it in any order, and one id', async () => {
    const { publish, client, sizes } = await fresh('?window=1h')
    const ids = range(0, 20, 10)
    expect(new Set(await publish(ids))).toEqual(new Set(['stored']))
    expect(new Set(await publish(range(1_000, 8)))).toEqual(new Set(['stored']))
    expect((await sizes()).runs.flat()).toEqual([20, 8])
    const again = [ids, ids.toReversed(), ids.slice(5, 15), [190], [0], [1_007, 100]]
    for (const batch of again) expect(new Set(await publish(batch))).toEqual(new Set(['duplicate']))
    // An hour and a half goes by: the next window begins, and this one is known.
    await client.hset(laneKey('topic'), 'since', Date.now() - 5_400_000)
    for (const batch of again) expect(new Set(await publish(batch))).toEqual(new Set(['duplicate']))
    expect((await sizes()).sets).toEqual([0, 0])
    // Three hours: nothing of both is.
    await client.hset(laneKey('topic'), 'since', Date.now() - 10_800_000)
    expect(new Set(await publish(ids))).toEqual(new Set(['stored']))
    expect((await sizes()).runs.flat()).toEqual([20])
  })

  it('knows none where there is no window', async () => {
    const { publish, client } = await fresh('?window=0')
    for (let i = 0; i < 2; i++) expect(new Set(await publish(range(0, 20)))).toEqual(new Set(['stored']))
    expect(await client.exists(...idKeys('topic'))).toBe(0)
  })

  it('takes an id that lies in the range of a run and was not in it', async () => {
    const { publish } = await fresh()
    await publish(range(0, 20, 10))
    await publish(range(500, 20, 10))
    expect(await publish([95])).toEqual(['stored'])
    expect(await publish([95, 90, 91])).toEqual(['duplicate', 'duplicate', 'stored'])
    const dense = await publish(range(81, 20))
    expect(dense.flatMap((state, i) => (state === 'duplicate' ? 81 + i : []))).toEqual([90, 91, 95, 100])
    expect(new Set(await publish(range(300, 20)))).toEqual(new Set(['stored']))
    expect(new Set(await publish(range(81, 20)))).toEqual(new Set(['duplicate']))
    // From before the first run to after the last one.
    const wide = await publish(range(5, 1_000, 5), 'wide')
    expect(wide.filter((state) => state === 'duplicate').length).toBe(19 + 20 + 2 + 4)
  })

  it('knows two publishers apart whose ids interleave', async () => {
    const { publish, sizes } = await fresh()
    for (let round = 0; round < 10; round++) {
      const [even, odd] = [range(round * 100, 50, 2), range(round * 100 + 1, 50, 2)]
      expect(new Set(await publish(even))).toEqual(new Set(['stored']))
      expect(new Set(await publish(odd))).toEqual(new Set(['stored']))
    }
    expect(new Set(await publish(range(0, 1_000)))).toEqual(new Set(['duplicate']))
    expect(await sizes()).toMatchObject({ runs: expect.arrayContaining([range(0, 10).map(() => 50)]) })
  })

  it('is right about whatever comes in whatever order', async () => {
    const seed = Math.floor(Math.random() * 1_000_000)
    const random = createRandom(seed)
    const below = (n: number) => Math.floor(random() * n)
    const { publish, client, sizes } = await fresh('?window=1h')
    let [current, previous] = [new Set<number | string>(), new Set<number | string>()]
    let stored = 0
    const batches: (number | string)[][] = []
    let next = 100
    const numbers = () => range(0, 1 + below(40)).map(() => below(next + 20))
    const growing = () => {
      const from = next
      next += 5 + below(100)
      return range(from, next - from).filter(() => random() < 0.6)
    }
    const kinds = [
      growing,
      growing,
      numbers,
      () => numbers().toSorted((a, b) => a - b),
      () => (batches[below(batches.length)] ?? []).slice(below(3)),
      () => [...growing(), ...numbers(), `mine-${below(20)}`],
    ]
    for (let turn = 0; turn < 300; turn++) {
      const batch = [...(kinds[below(kinds.length)]?.() ?? []), next++]
      batches.push(batch)
      if (turn % 50 === 49) {
        // An hour and a half goes by: the next window begins.
        await client.hset(laneKey('topic'), 'since', Date.now() - 5_400_000)
        ;[current, previous] = [new Set(), current]
      }
      const expected = batch.map((id) => {
        if (current.has(id) || previous.has(id)) return 'duplicate'
        current.add(id)
        stored++
        return 'stored'
      })
      expect(await publish(batch), `seed ${seed}, turn ${turn}`).toEqual(expected)
    }
    expect((await sizes()).runs.flat().length, `seed ${seed}`).toBeGreaterThan(5)
    expect(await client.xlen('topic')).toBe(stored)
  })

  it('knows of a batch that was stored in part what was stored', async () => {
    const { publish, client, sizes } = await fresh()
    const ids = range(0, 20, 10)
    // Redis has five more ids for entries, and then none.
    await client.xadd('topic', '18446744073709551615-18446744073709551610', 'evt', 'x', 'body', 'x')
    const states = await publish(ids)
    expect(states.slice(0, 5)).toEqual(range(0, 5).map(() => 'stored'))
    expect(states.slice(5)).toEqual(range(0, 15).map(() => 'refused'))
    expect((await sizes()).runs.flat()).toEqual([5])
    await client.del('topic')
    const again = await publish(ids)
    expect(again).toEqual(range(0, 20).map((i) => (i < 5 ? 'duplicate' : 'stored')))
    expect(new Set(await publish(ids))).toEqual(new Set(['duplicate']))
  })

  it('knows of a batch that filled the memory what was stored', async () => {
    const { publish, client } = await fresh()
    const ids = range(0, 100)
    const body = 'x'.repeat(100 * 1024)
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
    await client.config('SET', 'maxmemory', used + 6 * 1024 * 1024)
    const states = await publish(ids, body)
    await client.config('SET', 'maxmemory', '0')
    expect(new Set(states)).toEqual(new Set(['stored', 'refused']))
    const stored = states.filter((state) => state === 'stored').length
    expect(await publish(ids, body)).toEqual(ids.map((id) => (id < stored ? 'duplicate' : 'stored')))
    expect(await client.xlen('topic')).toBe(100)
  })

  it('forgets them between one window and two, and keeps nothing of them', async () => {
    const { publish, client } = await fresh('?window=400ms')
    const ids = range(0, 20)
    const started = performance.now()
    expect(new Set(await publish(ids))).toEqual(new Set(['stored']))
    let states = await publish(ids)
    while (performance.now() - started < 300) {
      expect(new Set(states)).toEqual(new Set(['duplicate']))
      states = await publish(ids)
    }
    await until(async () => (await publish(ids))[0] === 'stored', { withinMs: 2_000, what: 'forgotten' })
    expect(performance.now() - started).toBeGreaterThan(400)
    await until(async () => (await client.exists(...idKeys('topic'))) === 0, { withinMs: 2_000, what: 'expired' })
  })

  it('forgets old ones rather than keep ever more of them, runs and others counted together', async () => {
    const { publish, client, sizes } = await fresh()
    for (let i = 0; i < 50_000; i += 2_500) {
      await publish(range(i * 2, 2_000, 2))
      await publish(range(i * 2 + 4_000, 500, 2).toReversed())
      const { sets, runs } = await sizes()
      for (const [which, size] of sets.entries())
        expect(size + (runs[which] ?? []).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(20_000)
    }
    expect(new Set(await publish(range(60_000, 20_000, 2)))).toEqual(new Set(['duplicate']))
    expect(await publish([0, 99_999, 99_998])).toEqual(['stored', 'stored', 'duplicate'])
    expect(Number(await client.hget(laneKey('topic'), 'inRuns'))).toBeGreaterThan(0)
  })
})
