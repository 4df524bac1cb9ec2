import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { EvtError } from '../../../src/core/errors.ts'
import { openRedis } from '../../../src/transports/redis/index.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import { type PrivateRedisPair, startPrivateRedisPair } from '../../setup/redis-pair.ts'
import { until } from '../../setup/until.ts'
import { consume, expectInOrder } from './consuming.ts'
import { connect, expectAsLogged, makeEntries, openLog, openTransport, readLogOf, relay } from './sink.ts'

// States in which a server answers and does nothing: evt says which one, what helps, and goes on by itself.

const lanes = 4
const within = { withinMs: 30_000 }

/** A relay and a consumer at work, with a thousand entries behind them. */
async function start(url: string, problems: string[] = []) {
  const log = makeEntries(3_000, { keys: 100 })
  const options = { readLog: readLogOf(log), onProblem: (error: Error) => problems.push(error.message) }
  const transport = await openTransport(url, options)
  await transport.ensure([{ name: 'sink', lanes }], 'create')
  const appender = await openLog(transport, 'sink', 1n)
  const consumer = consume(transport)
  await relay(appender, log.slice(0, 1_000))
  await until(() => consumer.received.length === 1_000, within)
  return {
    transport,
    /** Carries the rest of the log, whatever happens. */
    goOn: () => relay(appender, log, { batch: 10, withinMs: 60_000 }),
    /** All is there once, and what was handed out in order is all. */
    async settled(storedAt: string) {
      await until(() => consumer.received.length >= log.length, { ...within, what: 'everything comes' })
      await expectAsLogged(connect(storedAt), log)
      expect(consumer.received.length).toBe(log.length)
      expectInOrder(consumer.received)
    },
  }
}

const signal = () => AbortSignal.timeout(5_000)

/** What publishing says while the server is in such a state. */
async function refusal(transport: Awaited<ReturnType<typeof openTransport>>): Promise<EvtError | undefined> {
  const [result] = await transport.publish('elsewhere', makeEntries(1), signal())
  return result !== undefined && 'error' in result ? (result.error as EvtError) : undefined
}

/** What connecting says. */
const openingError = (url: string): Promise<EvtError | undefined> =>
  openRedis(url, {}).then(
    async (transport) => void (await transport.close()),
    (error: EvtError) => error,
  )

const says = (what: RegExp, error: () => Promise<EvtError | undefined>) =>
  until(
    async () => {
      const found = await error()
      return found !== undefined && what.test(found.message) ? found : undefined
    },
    { ...within, what: String(what) },
  )

it('a server that loads its data is waited for', async () => {
  // So that there is something to see: 0.3 ms a command, and an answer every thousand.
  const slow = ['--key-load-delay', '300', '--loading-process-events-interval-bytes', '1024']
  const redis = await startPrivateRedis({ args: slow })
  onTestFinished(() => redis.stop())
  const problems: string[] = []
  const { goOn, settled, transport } = await start(redis.url, problems)
  const filling = connect(redis.url).pipeline()
  for (let n = 0; n < 8_000; n++) filling.set(`filler:${n}`, '')
  await filling.exec()
  await redis.kill('SIGKILL')
  const restarting = redis.restart()
  const opening = await says(/loading/, () => openingError(redis.url))
  expect(opening).toMatchObject({ code: 'connect', hint: expect.stringMatching(/goes on by itself/) })
  const going = goOn()
  expect(await says(/loading/, () => refusal(transport))).toMatchObject({ hint: opening.hint })
  await restarting
  await going
  await settled(redis.url)
  expect(problems).toEqual([])
}, 60_000)

it('a server that is busy with somebody’s script is waited for, and how to end it is said', async () => {
  const redis = await startPrivateRedis({ args: ['--busy-reply-threshold', '50'] })
  onTestFinished(() => redis.stop())
  const problems: string[] = []
  const { goOn, settled, transport } = await start(redis.url, problems)
  const operator = connect(redis.url)
  await operator.ping()
  const busy = connect(redis.url).eval('while true do end', 0)
  busy.catch(() => {})
  const refused = await says(/busy with a script/, () => refusal(transport))
  expect(refused.hint).toContain('SCRIPT KILL')
  expect((await says(/busy with a script/, () => openingError(redis.url))).hint).toBe(refused.hint)
  const going = goOn()
  await operator.script('KILL')
  await going
  await settled(redis.url)
  expect(problems).toEqual([])
}, 60_000)

describe('a fail-over', () => {
  let pair: PrivateRedisPair
  beforeAll(async () => {
    pair = await startPrivateRedisPair()
  })
  afterAll(() => pair.stop())

  it('that is under way shows a replica, which is told and waited out', async () => {
    const problems: string[] = []
    const { goOn, settled, transport } = await start(pair.url, problems)
    pair.address.retarget(pair.replica.port)
    pair.address.cut()
    const refused = await says(/is a replica/, () => refusal(transport))
    expect(refused).toMatchObject({ code: 'unsupported', hint: expect.stringMatching(/master.*goes on by itself/) })
    const going = goOn()
    pair.address.retarget(pair.primary.port)
    pair.address.cut()
    await going
    await settled(pair.url)
    expect(problems).toEqual([])
  }, 60_000)

  it('that leaves connections with the former master does not leave evt there', async () => {
    await pair.primary.command('flushall')
    const { goOn, settled } = await start(pair.url)
    await pair.caughtUp()
    await pair.replica.command('replicaof', 'no', 'one')
    pair.address.retarget(pair.replica.port)
    await pair.primary.command('replicaof', '127.0.0.1', pair.replica.port)
    await goOn()
    await settled(pair.replica.url)
  }, 60_000)
})
