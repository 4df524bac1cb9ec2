import { isUtf8 } from 'node:buffer'
import type { Redis } from 'ioredis'
import { EvtError } from '../../core/errors.ts'
import type { RedisContext } from './context.ts'
import { isReply, translateError } from './errors.ts'
import type { Topic } from './topic.ts'

export interface FoundStream {
  readonly topic: string
  readonly stream: string
  /** By a glob: what cannot be read is passed over. A stream that was named has to be readable. */
  readonly byGlob: boolean
}

const keysAtOnce = 1_000
/** A glob that matches more is cut there, and says so. */
const mostStreams = 10_000
const deadLetterEnd = ':dlq'

export const isGlob = (name: string) => /[*?[]/.test(name)

/** A topic as the server has it. Who may read a stream and not what evt keeps beside it, sees somebody else's stream. */
export async function findTopic({ topics }: RedisContext, name: string): Promise<Topic> {
  try {
    return await topics.find(name)
  } catch (error) {
    if (!isReply(error, 'NOPERM')) throw error
    return { name, ours: false, streams: [name] }
  }
}

/**
 * The streams of these topics and globs, as they are now; a named one need not exist yet. `known` are left out. Dead letters are
 * found only by globs that end like them.
 */
export async function findStreams(
  context: RedisContext,
  names: readonly string[],
  known: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly FoundStream[]> {
  const found = new Map<string, FoundStream>()
  const add = ({ name, streams }: Topic, byGlob: boolean) => {
    for (const stream of streams) {
      if (!known.has(stream) && !found.has(stream)) found.set(stream, { topic: name, stream, byGlob })
    }
  }
  for (const name of names.filter((one) => !isGlob(one))) add(await findTopic(context, name), false)
  for (const glob of names.filter(isGlob)) {
    for (const stream of await scan(context, glob, signal)) {
      if (!known.has(stream) && !found.has(stream)) add(await topicOfStream(context, stream), true)
    }
  }
  return [...found.values()]
}

/** A lane's stream belongs to its topic; any other stream is one of its own. */
async function topicOfStream(context: RedisContext, stream: string): Promise<Topic> {
  const [, parent] = /^(.+):\d+$/.exec(stream) ?? []
  const topic = parent === undefined ? undefined : await findTopic(context, parent)
  return topic?.streams.includes(stream) ? topic : { name: stream, ours: false, streams: [stream] }
}

async function scan(context: RedisContext, glob: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { connections, options, onProblem } = context
  const streams = new Set<string>()
  try {
    for (const master of connections.masters()) await scanNode(master, glob, streams, signal)
  } catch (error) {
    throw translateError(error, options.place, `find streams like ${glob}`)
  }
  if (streams.size > mostStreams) {
    const error = new EvtError('partial', `cannot follow all that ${glob} matches: ${streams.size} streams`, {
      hint: `the first ${mostStreams} are followed; use a narrower name`,
    })
    onProblem?.(error)
  }
  return new Set([...streams].toSorted().slice(0, mostStreams))
}

async function scanNode(node: Redis, glob: string, found: Set<string>, signal: AbortSignal): Promise<void> {
  let cursor = '0'
  do {
    const [next, keys] = await node.scanBuffer(cursor, 'MATCH', glob, 'COUNT', keysAtOnce, 'TYPE', 'stream')
    for (const key of keys) {
      const name = key.toString()
      // A key that is no text cannot be named anywhere.
      if (isUtf8(key) && (!name.endsWith(deadLetterEnd) || glob.endsWith(deadLetterEnd))) found.add(name)
    }
    cursor = next.toString()
  } while (cursor !== '0' && !signal.aborted && found.size <= mostStreams)
}
