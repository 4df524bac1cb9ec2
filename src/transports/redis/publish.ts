import type { Message, Published } from '../transport.ts'
import { failureOf, readWritten, type Written, writeBatch } from './batch.ts'
import { broadcastOf, broadcastWidth } from './broadcast.ts'
import type { RedisContext } from './context.ts'
import { rangeOfIds } from './id-range.ts'
import { type Part, pack } from './pack.ts'
import { runScript } from './script.ts'
import { bellOf, idKeys, laneKey } from './topic.ts'
import { encodeMeta } from './wire.ts'
import { publishScript } from './write-scripts.ts'

/** Ids that a duplicate window holds of a lane at most; two windows are kept. */
const maxWindowIds = 20_000

export type Publisher = (topic: string, batch: readonly Message[], signal: AbortSignal) => Promise<readonly Published[]>

/** Into a topic of ours, or into somebody's stream, in our wire. */
export function createPublisher({ connections, options, topics, trimmer }: RedisContext): Publisher {
  const { broadcast, place, windowMs } = options
  const width = 2 + (broadcast === undefined ? 0 : broadcastWidth)

  async function write(topic: string, stream: string, messages: readonly Message[]): Promise<Written> {
    const parts: Part[] = []
    for (const message of messages) {
      parts.push(encodeMeta(message), message.body)
      if (broadcast !== undefined) parts.push(...broadcastOf(message, broadcast))
    }
    const { least, greatest, run } = rangeOfIds(messages)
    const ids = run === '' ? pack(messages.map(({ id }) => id)) : ''
    const args = [bellOf(stream), windowMs, maxWindowIds, least, greatest, run, ids, width, pack(parts)]
    const keys = [stream, laneKey(stream), ...idKeys(stream)]
    const fail = (error: unknown) => failureOf(error, place, `publish to ${topic}`)
    try {
      const [ids, failure] = (await runScript(connections.client, publishScript, keys, args)) as unknown[]
      trimmer.touch(stream)
      return readWritten(ids, failure, fail)
    } catch (error) {
      return { ids: [], failure: fail(error) }
    }
  }

  return async (name, batch, signal) => {
    if (batch.length === 0) return []
    const topic = signal.aborted ? undefined : await topics.find(name).catch((error: unknown) => error)
    if (topic instanceof Error) return batch.map(() => failureOf(topic, place, `publish to ${name}`))
    const streams = (topic as Awaited<ReturnType<typeof topics.find>> | undefined)?.streams ?? [name]
    return writeBatch({
      topic: name,
      lanes: streams.length,
      batch,
      signal,
      write: (lane, messages) => write(name, streams[lane] as string, messages),
    })
  }
}
