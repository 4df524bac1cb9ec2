import type { Redis } from 'ioredis'
import { answered } from './answered.ts'
import type { RedisContext } from './context.ts'
import { compareIds, firstId } from './entry-id.ts'
import { isReply } from './errors.ts'
import type { StoredEntry } from './pages.ts'
import { createScript, runScript } from './script.ts'

/** Redis holds an empty read so long; a release waits for it. */
const blockMs = 250

/**
 *   KEYS  stream, members (membership-scripts.ts)
 *   ARGV  group, the lease of the lane as its owner knows it; then ids
 *   gives 1; 0 when somebody else owns the lane: nothing is acknowledged then
 */
const ackScript = createScript(`
if redis.call('HGET', KEYS[2], 'l:0') ~= ARGV[2] then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 3))
return 1
`)

/** What somebody got and has not acknowledged. */
export interface Pending {
  readonly id: string
  readonly consumer: string
  readonly idleMs: number
  /** How often it was delivered; 0 for one that was given back. */
  readonly deliveries: number
}

export interface Claimed {
  readonly entries: readonly StoredEntry[]
  /** How many of them are not in the stream any more. */
  readonly deleted: number
}

/** Where a lease lies, and what it says while it is ours. */
export interface Fence {
  readonly key: string
  readonly lease: string
}

/** A plain group of a stream that others write, as one consumer sees it. Throws what the driver throws. */
export interface ForeignGroup {
  /** What nobody got before; waits a little when there is nothing. */
  read(count: number): Promise<readonly StoredEntry[]>
  /** In order of their ids; whose they are, too. */
  pending(after: string, count: number): Promise<readonly Pending[]>
  countPending(): Promise<number>
  /**
   * Makes these ours, as delivered so often, unless somebody touched them less than `idleMs` ago. What was deleted from the stream is pending
   * no more.
   */
  claim(ids: readonly string[], deliveries: number, idleMs: number): Promise<Claimed>
  /** They are in good hands: nobody else may take them for abandoned. */
  touch(ids: readonly string[]): Promise<void>
  /** As if they had been delivered so often only, and not touched for so long. */
  setDeliveries(ids: readonly string[], deliveries: number, idleMs: number): Promise<void>
  /** False when the lane is somebody else's now. */
  acknowledge(ids: readonly string[]): Promise<boolean>
  /** Makes the group again that somebody removed, after what was read here, or from the start of a stream that was made anew. */
  restore(lastRead: string): Promise<void>
  close(): void
}

/** An existing group keeps its place. The stream is made when it is not there. */
export async function createForeignGroup({ connections }: RedisContext, stream: string, group: string, from: string) {
  try {
    await connections.client.xgroup('CREATE', stream, group, from, 'MKSTREAM')
  } catch (error) {
    if (!isReply(error, 'BUSYGROUP')) throw error
  }
}

export function openForeignGroup(
  context: RedisContext,
  stream: string,
  group: string,
  consumer: string,
  fence: Fence | undefined,
): ForeignGroup {
  const { connections } = context
  const { client } = connections
  let own: Redis | undefined
  let closed = false

  async function readOwn(count: number): Promise<unknown> {
    own ??= await connections.openOwn(stream)
    const redis = own
    if (closed) redis.disconnect()
    return answered(redis, blockMs, () =>
      redis.xreadgroupBuffer('GROUP', group, consumer, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', stream, '>'),
    )
  }

  const claimed = (ids: readonly string[], ...options: string[]) =>
    client.call('XCLAIM', stream, group, consumer, 0, ...ids, ...options)

  return {
    async read(count) {
      try {
        return entriesOf(await readOwn(count))
      } catch (error) {
        if (!isReply(error, 'MOVED') && !isReply(error, 'ASK')) throw error
        // The slot went to another master, or is on its way: the client of the whole cluster follows it, and knows afterwards where to.
        own?.disconnect()
        own = undefined
        return entriesOf(
          await client.xreadgroupBuffer('GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>'),
        )
      }
    },
    async pending(after, count) {
      const from = after === firstId ? '-' : `(${after}`
      const rows = (await client.xpending(stream, group, from, '+', count)) as [string, string, number, number][]
      return rows.map(([id, owner, idleMs, deliveries]) => ({ id, consumer: owner, idleMs, deliveries }))
    },
    async countPending() {
      return Number(((await client.xpending(stream, group)) as unknown[])[0])
    },
    async claim(ids, deliveries, idleMs) {
      const options = ['RETRYCOUNT', String(deliveries)]
      const answer = await client.callBuffer('XCLAIM', stream, group, consumer, idleMs, ...ids, ...options)
      const entries = (answer as readonly (StoredEntry | null)[]).filter((entry) => entry?.[1]) as StoredEntry[]
      const got = new Set(entries.map(([id]) => id.toString()))
      const missing = ids.filter((id) => !got.has(id))
      const found = await Promise.all(missing.map((id) => client.xrange(stream, id, id)))
      return { entries, deleted: found.filter((rows) => rows.length === 0).length }
    },
    async touch(ids) {
      if (ids.length > 0) await claimed(ids, 'JUSTID')
    },
    async setDeliveries(ids, deliveries, idleMs) {
      const options = ['IDLE', String(idleMs), 'RETRYCOUNT', String(deliveries), 'JUSTID']
      if (ids.length > 0) await claimed(ids, ...options)
    },
    async acknowledge(ids) {
      if (fence !== undefined)
        return (await runScript(client, ackScript, [stream, fence.key], [group, fence.lease, ...ids])) === 1
      await client.xack(stream, group, ...ids)
      return true
    },
    async restore(lastRead) {
      const [last] = await client.xrevrange(stream, '+', '-', 'COUNT', 1)
      const goesOn = last !== undefined && compareIds(last[0], lastRead) >= 0
      await createForeignGroup(context, stream, group, goesOn ? lastRead : firstId)
    },
    close() {
      closed = true
      own?.disconnect()
    },
  }
}

/** Of what `XREADGROUP` answers for one stream; null when there is nothing. */
function entriesOf(reply: unknown): readonly StoredEntry[] {
  return (reply as readonly (readonly [Buffer, readonly StoredEntry[]])[] | null)?.[0]?.[1] ?? []
}
