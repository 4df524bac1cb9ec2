// A log as the store has it, a relay over it, and what lies in Redis afterwards.
import { randomUUID } from 'node:crypto'
import { type Cluster, Redis } from 'ioredis'
import { expect, onTestFinished } from 'vitest'
import { isOutage } from '../../../src/transports/redis/errors.ts'
import { openRedis } from '../../../src/transports/redis/index.ts'
import { laneOf, streamsOf } from '../../../src/transports/redis/topic.ts'
import { decodeOurs } from '../../../src/transports/redis/wire.ts'
import type {
  LogAppender,
  LogPosition,
  Message,
  Transport,
  TransportOptions,
} from '../../../src/transports/transport.ts'

export type Entry = Message & { readonly log: LogPosition }

/** Entries at positions from `first`, over `keys` subjects. */
export function makeEntries(count: number, { first = 1, keys = 20, bodyBytes = 20 } = {}): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const id = randomUUID()
    const key = `s/${i % keys}`
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-type': 'a.b',
      'ce-source': 'test',
      'ce-time': '2026-11-21T08:00:00.000Z',
      'ce-subject': key,
    }
    return { id, key, headers, body: Buffer.from(JSON.stringify('x'.repeat(bodyBytes))), log: BigInt(first + i) }
  })
}

/** What `readLog` of a store does. */
export const readLogOf = (log: readonly Entry[]): NonNullable<TransportOptions['readLog']> =>
  async function* read(after, through) {
    const part = log.filter((entry) => entry.log > after && entry.log <= through)
    for (let i = 0; i < part.length; i += 10) yield part.slice(i, i + 10)
  }

export async function openTransport(url: string, options: TransportOptions = {}): Promise<Transport> {
  const transport = await openRedis(url, options)
  onTestFinished(() => transport.close())
  return transport
}

export async function openLog(transport: Transport, topic: string, epoch: bigint): Promise<LogAppender> {
  if (transport.openLog === undefined) throw new Error('no openLog')
  return transport.openLog(topic, epoch)
}

export function connect(url: string): Redis {
  const redis = new Redis(url)
  redis.on('error', () => {})
  onTestFinished(() => redis.disconnect())
  return redis
}

/** As the relay does it: from the lesser of its cursor and the mark, in batches, asking again after everything that went wrong. */
export async function relay(appender: LogAppender, log: readonly Entry[], { batch = 50, withinMs = 20_000 } = {}) {
  const deadline = performance.now() + withinMs
  const end = log.at(-1)?.log ?? 0n
  let failures = 0
  let position = await appender.mark().catch((error: unknown) => {
    if (!isOutage(error)) throw error
    return undefined
  })
  while (position === undefined || position < end) {
    if (performance.now() > deadline) throw new Error(`the relay is at ${position} of ${end}`)
    if (position === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      position = await appender.mark().catch(() => undefined)
      continue
    }
    const from = position
    const part = log.filter((entry) => entry.log > from).slice(0, batch)
    const through = part.at(-1)?.log ?? end
    const results = await appender.append(part, through, AbortSignal.timeout(5_000))
    if (results.every(({ state }) => state === 'stored' || state === 'duplicate')) position = through
    else {
      failures++
      // A refusal without a connection takes no time: the driver needs some to make a new one.
      await new Promise((resolve) => setTimeout(resolve, 5))
      position = (await appender.mark().catch(() => undefined)) ?? position
    }
  }
  return { failures }
}

/** The ids of every lane, as they lie there; what is not ours is left out. */
export async function storedIds(
  redis: Redis | Cluster,
  topic: string,
  lanes: number,
): Promise<readonly (readonly string[])[]> {
  return Promise.all(
    streamsOf(topic, lanes).map(async (stream) => {
      const entries = (await redis.xrangeBuffer(stream, '-', '+')) as unknown as [Buffer, Buffer[]][]
      return entries.flatMap(([, fields]) => decodeOurs(fields)?.id ?? [])
    }),
  )
}

/** The same, as the log has it. */
export function expectedIds(log: readonly Entry[], lanes: number): readonly (readonly string[])[] {
  return Array.from({ length: lanes }, (_, lane) =>
    log.filter((one) => laneOf(one, lanes) === lane).map(({ id }) => id),
  )
}

/** Every lane has what the log has for it, each entry once and in its order; told where that first is not so. */
export async function expectAsLogged(
  redis: Redis | Cluster,
  log: readonly Entry[],
  { topic = 'sink', lanes = 4, why = '' } = {},
): Promise<void> {
  const expected = expectedIds(log, lanes)
  const differing = (await storedIds(redis, topic, lanes)).flatMap((ids, lane) => {
    const wanted = expected[lane] ?? []
    const at = wanted.findIndex((id, i) => ids[i] !== id)
    if (at < 0 && ids.length === wanted.length) return []
    return [`lane ${lane} has ${ids.length} entries of ${wanted.length}, the same up to ${at < 0 ? wanted.length : at}`]
  })
  expect(differing, why).toEqual([])
}
