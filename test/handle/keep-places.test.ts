import { expect, it, onTestFinished } from 'vitest'
import { keepPlaces } from '../../src/handle/keep-places.ts'
import { enterPlace } from '../../src/store/handler-places.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import type { Lane, LaneOptions } from '../../src/transports/transport.ts'
import { memoryUrl } from '../relay/sinking.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { eventOf, messageOf } from './running.ts'

const intake = { name: 'out', target: '' }

it('what a handler has passed in a sink follows the sink while nothing old waits there, and stays where something does', async () => {
  const { store } = await createTestDatabase()
  await store.query(`insert into evt.sinks (name, target, position) values ('out', '', 0)`)
  const entering = { handler: 'h', instance: 'i', intake, start: 'earliest', lanes: 4 } as const
  expect(await enterPlace(store, entering)).toMatchObject({ state: 'there', since: 0n, isNew: true })
  const transport = openMemory(memoryUrl())
  onTestFinished(() => transport.close())
  const signal = AbortSignal.timeout(30_000)
  const lanes = await ownLanes()
  const keeper = keepPlaces({
    ...{ store, transport, intake, reading: new Map([['h', ['events']]]), timesMs: { every: 10, slack: 50 } },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  })
  onTestFinished(() => keeper.stop())
  const position = async () =>
    Number((await store.query(`select position from evt.handler_places where handler = 'h'`)).rows[0]?.position)

  await carry(1n)
  const taken = await Promise.any(lanes.map(async (lane) => ({ lane, done: await lane.take(10, signal) })))
  await carry(2n)
  const seen = await store.query(`select clock_timestamp() + interval '300 ms' as at`)
  await until(
    async () => (await store.query('select clock_timestamp() > $1 as past', [seen.rows[0]?.at])).rows[0]?.past,
  )
  expect(await position()).toBe(0)
  await taken.lane.settle(taken.done)
  await until(async () => (await position()) === 2)

  async function ownLanes(): Promise<Lane[]> {
    await transport.ensure([{ name: 'events', lanes: 1 }], 'create')
    const options: LaneOptions = { prefetch: 10, patterns: ['*'], start: 'earliest', lanes: 1, member: 'm', signal }
    for await (const lane of transport.lanes?.(['events'], 'h', options) ?? []) return [lane]
    return []
  }
  async function carry(log: bigint): Promise<void> {
    if (log === 1n) await transport.publish('events', [{ ...messageOf(eventOf({ type: 'thing.made' })), log }], signal)
    await store.query(`update evt.sinks set position = $1 where name = 'out'`, [String(log)])
  }
})
