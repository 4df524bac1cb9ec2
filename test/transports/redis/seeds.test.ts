import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Lane, Message } from '../../../src/transports/transport.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { openTold, textOf, watch } from './watching.ts'

let server: PrivateRedis
beforeAll(async () => {
  server = await startPrivateRedis()
})
afterAll(() => server.stop())

const run = promisify(execFile)
/** A line of the third seed, as an operator types it. */
const cli = async (line: string) => {
  const { stdout } = await run('redis-cli', ['-p', String(server.port), ...line.split(' ')])
  return stdout.split('\n').map((text) => text.trim())
}

const message = (n: number): Message => ({
  id: `e${n}`,
  key: `user/${n}`,
  headers: {
    'ce-specversion': '1.0',
    'ce-id': `e${n}`,
    'ce-type': 'user.created',
    'ce-source': 's',
    'content-type': 'application/json',
  },
  body: Buffer.from(`{"n":${n}}`),
})

it('the redis-cli lines of the seeds show a stream of layout per-type and a service’s group on it', async () => {
  const { transport } = await openTold(server.url)
  const stream = 'events:user.created'
  await transport.ensure([{ name: stream, lanes: 1 }], 'create')
  const signal = AbortSignal.timeout(10_000)
  await transport.publish(stream, [1, 2, 3].map(message), signal)
  await server.command('xgroup', 'create', stream, 'my-consumer-group', '0')
  await server.command('xreadgroup', 'group', 'my-consumer-group', 'my-service-1', 'count', 2, 'streams', stream, '>')
  expect(await cli(`XINFO GROUPS ${stream}`)).toEqual(
    expect.arrayContaining(['name', 'my-consumer-group', 'pending', '2']),
  )
  expect(await cli(`XPENDING ${stream} my-consumer-group`)).toEqual(expect.arrayContaining(['2', 'my-service-1']))
  expect(await cli(`XINFO STREAM ${stream}`)).toEqual(expect.arrayContaining(['length', '3']))
  const [entry] = (await server.command('xrange', stream, '-', '+', 'count', 1)) as [string, string[]][]
  expect(entry?.[1]).toContain('{"n":1}')
})

it('a stream that the seeds’ services write, all values text, is a source: read in a group, acknowledged, observed', async () => {
  const stream = 'events:request.created'
  const add = `XADD ${stream} * event_id e1 event_type request.created version v1 timestamp 2025-09-26T10:30:00Z source_service s user_id 12345 metadata {}`
  await cli(add)
  const { transport } = await openTold(`${server.url}?stream=${encodeURIComponent('events:*')}`)
  const observer = watch(transport, [stream], { follow: false })
  await observer.done
  expect(observer.seen).toMatchObject([{ id: 'e1', topic: stream, headers: {} }])
  expect(JSON.parse(observer.texts()[0] ?? '')).toMatchObject({ event_type: 'request.created', user_id: '12345' })
  const ending = new AbortController()
  const options = {
    prefetch: 10,
    patterns: ['request.*'],
    start: 'earliest',
    lanes: 1,
    member: 'm',
    signal: ending.signal,
  } as const
  const lanes: Lane[] = []
  for await (const lane of transport.lanes?.([stream], 'my-service', options) ?? []) {
    lanes.push(lane)
    ending.abort()
  }
  const taken = (await lanes[0]?.take(10, AbortSignal.timeout(5_000))) ?? []
  expect(taken.map(textOf)).toEqual(observer.texts())
  expect(await cli(`XPENDING ${stream} my-service`)).toEqual(expect.arrayContaining(['1', 'my-service-1']))
  await lanes[0]?.settle(taken)
  await lanes[0]?.release()
  expect((await cli(`XPENDING ${stream} my-service`))[0]).toBe('0')
})
