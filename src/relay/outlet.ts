import { EvtError, isForGood } from '../core/errors.ts'
import { planTopics } from '../core/layout.ts'
import { placeOfTopic } from '../core/origin.ts'
import { beginSinkTopic, type SinkCursor } from '../store/sinks.ts'
import type { LogAppender, Message, Published, Received, SqlExecutor, Transport } from '../transports/transport.ts'
import { currentTracing } from '../watch/tracing/current.ts'
import { makeTopics } from './read-sink.ts'
import type { SinkConfig } from './sink-config.ts'

/** A message that the sink will never take, whatever one does. */
export interface Refusal {
  readonly message: Message
  readonly topic: string
  readonly error: EvtError
}

export interface OutletOptions {
  readonly sql: SqlExecutor
  readonly transport: Transport
  readonly config: SinkConfig
  readonly epoch: bigint
  readonly cursor: SinkCursor
  /** Writes the dead letter; the sink goes on when it is durable. */
  bury(refusal: Refusal): Promise<void>
  /** Waits before the next try, longer when this one has `stored` nothing. Throws the error when there is none. */
  pause(error: unknown, stored: number): Promise<void>
}

/** A connected sink: its topics, as they become needed. */
export interface Outlet {
  /** Where to go on: what the store knows, or less where the sink itself says so. */
  readonly from: bigint
  topicOf(type: string): string
  /** How an event would say that it came from this topic. */
  placeOf(topic: string): string
  /**
   * All of them, in order; `through` is what the page ends at. Resolves when each is stored or buried. A sink with marks of its own
   * throws what will pass, because its marks say where to go on; for others this tries again itself, and sends nothing twice.
   */
  deliver(topic: string, messages: readonly Message[], through: bigint, signal: AbortSignal): Promise<void>
  /** One that was given up, beside the log: there its place is passed. The error when it is refused for good; throws what will pass. */
  retry(message: Received, signal: AbortSignal): Promise<EvtError | undefined>
  /** Lets the marks of all topics follow, also of those that had nothing to store. */
  mark(through: bigint, signal: AbortSignal): Promise<void>
  /** Throws when a sink has lost what it had: it is told when something is sent, and by this when nothing is. */
  verify(): Promise<void>
  close(): Promise<void>
}

interface OpenTopic {
  readonly name: string
  readonly log: LogAppender | undefined
  /** At the end of its last batch. */
  markedTo: bigint
  /** What its own mark was at least. */
  confirmed: bigint
}

/** What every broker takes for a name. */
const plainName = /^[\w.:-]{1,200}$/

/** Throws what `ensure` and `openLog` throw, and `conflict` for a topic that another log writes to. */
export async function openOutlet(options: OutletOptions): Promise<Outlet> {
  const { transport, config, cursor } = options
  const plan = planTopics({
    ...config,
    topic: config.topic ?? transport.named[0],
    separator: transport.separator,
  })
  const topics = new Map<string, OpenTopic>()
  const opening = new Map<string, Promise<OpenTopic>>()
  let from = cursor.position

  async function open(name: string, after: bigint): Promise<OpenTopic> {
    await makeTopics(transport, [name], plan.lanes)
    const log = await transport.openLog?.(name, options.epoch)
    const mark = (await log?.mark()) ?? 0n
    const begun = cursor.topics.get(name)
    if (begun === undefined) {
      if (log && mark > 0n) throw foreign(name, config.name)
      await beginSinkTopic(options.sql, { name: config.name, epoch: options.epoch, topic: name, after })
    }
    const topic = { name, log, markedTo: after, confirmed: mark }
    topics.set(name, topic)
    return topic
  }

  async function topicNamed(name: string, after: bigint): Promise<OpenTopic> {
    const known = topics.get(name)
    if (known) return known
    const made = opening.get(name) ?? open(name, after)
    opening.set(name, made)
    return made.finally(() => opening.delete(name))
  }

  // What the store knows may be more than what the sink still has.
  for (const [name, begun] of cursor.topics) {
    if (plan.fixed && !plan.fixed.includes(name)) continue
    const { log, confirmed } = await topicNamed(name, cursor.position)
    if (!log) continue
    const has = confirmed > begun ? confirmed : begun
    if (has < from) from = has
  }
  for (const name of plan.fixed ?? []) await topicNamed(name, cursor.position)

  const hand = (topic: OpenTopic, batch: readonly Message[], through: bigint, signal: AbortSignal) =>
    topic.log ? topic.log.append(batch, through, signal) : transport.publish(topic.name, batch, signal)
  const send: typeof hand = (topic, batch, through, signal) => {
    const tracing = currentTracing()
    if (!tracing) return hand(topic, batch, through, signal)
    const traceparents = batch.map(({ headers }) => headers['ce-traceparent'])
    return tracing.carried({ sink: topic.name, traceparents }, () => hand(topic, batch, through, signal))
  }

  return {
    from,
    topicOf: (type) => plan.topicOf(config.renames.there(type)),
    placeOf: (topic) => placeOfTopic(config.url, topic),
    async deliver(name, messages, through, signal) {
      const first = messages[0]?.log ?? through
      const topic = await topicNamed(name, first - 1n).catch((error: unknown) => {
        // A name that the broker cannot have is the event's misfortune, not an outage.
        if (plan.fixed || plainName.test(name) || !(error instanceof EvtError && error.code === 'usage')) throw error
        return error
      })
      if (topic instanceof EvtError) {
        for (const message of messages) await options.bury({ message, topic: name, error: topic })
        return
      }
      await drainBatch({ messages, through, topic, signal, send, bury: options.bury, pause: options.pause })
      advance(topic, through)
    },
    async retry({ topic, id, key, headers, body }, signal) {
      await makeTopics(transport, [topic], plan.lanes)
      const message = { id, key, headers, body }
      const { error } = await tried([message], transport.publish(topic, [message], signal))
      if (error !== undefined && !isForGood(error)) throw error
      return error as EvtError | undefined
    },
    async mark(through, signal) {
      for (const topic of topics.values()) {
        if (!topic.log || topic.markedTo >= through) continue
        await topic.log.append([], through, signal)
        // Of nothing, a log that moved no mark refuses nothing.
        topic.markedTo = through
      }
    },
    async verify() {
      for (const { name, log, confirmed } of topics.values()) {
        const mark = await log?.mark()
        if (mark !== undefined && mark < confirmed)
          throw new EvtError(
            'conflict',
            `cannot go on with ${name}: it had the log up to ${confirmed}, and now up to ${mark}`,
          )
      }
    },
    async close() {
      await Promise.all([...topics.values()].map((topic) => topic.log?.close().catch(() => {})))
      await transport.close()
    },
  }
}

function advance(topic: OpenTopic, through: bigint): void {
  if (through > topic.markedTo) topic.markedTo = through
  if (through > topic.confirmed) topic.confirmed = through
}

interface Batch extends Pick<OutletOptions, 'bury' | 'pause'> {
  readonly messages: readonly Message[]
  readonly through: bigint
  readonly topic: OpenTopic
  readonly signal: AbortSignal
  send(topic: OpenTopic, batch: readonly Message[], through: bigint, signal: AbortSignal): Promise<readonly Published[]>
}

/**
 * Repeats exactly what was not stored. Who is refused for good is found by sending fewer: what follows a refusal in its lane is refused
 * with it, and a transaction refuses all for one.
 */
async function drainBatch({ messages, through, topic, signal, send, bury, pause }: Batch): Promise<void> {
  let rest = messages
  let size = rest.length
  while (rest.length > 0) {
    const now = rest.slice(0, size)
    const upTo = now.length === rest.length ? through : (now.at(-1)?.log ?? through)
    const { left, error } = await tried(now, send(topic, now, upTo, signal))
    rest = [...left, ...rest.slice(now.length)]
    // After anything that went wrong, its marks are asked for before it takes more.
    if (error && isForGood(error)) await topic.log?.mark()
    if (!error) size = Math.min(rest.length, size * 2)
    else if (topic.log && !isForGood(error)) throw error
    else if (!isForGood(error)) await pause(error, now.length - left.length)
    else if (now.length > 1) size = Math.max(1, left.length >> 1)
    else {
      await bury({ message: now[0] as Message, topic: topic.name, error: error as EvtError })
      rest = rest.slice(1)
      size = rest.length
    }
  }
}

/** What was not stored, and why the first of them was not. Throws `fenced`. */
async function tried(
  batch: readonly Message[],
  sending: Promise<readonly Published[]>,
): Promise<{ readonly left: readonly Message[]; readonly error?: unknown }> {
  try {
    const results = await sending
    const left = batch.filter((_, i) => !isDone(results[i]))
    const failed = results.find((result) => !isDone(result))
    if (left.length === 0) return { left }
    const error = failed && 'error' in failed ? failed.error : new EvtError('internal', 'cannot tell what was stored')
    // Whether it is there is not known: no reason to give it up.
    return { left, error: failed?.state === 'unknown' ? passing(error) : error }
  } catch (error) {
    if (error instanceof EvtError && error.code === 'fenced') throw error
    return { left: batch, error }
  }
}

const passing = (error: EvtError) =>
  isForGood(error) ? new EvtError('connect', error.message, { cause: error }) : error

const isDone = (result: Published | undefined) => result?.state === 'stored' || result?.state === 'duplicate'

function foreign(topic: string, sink: string): EvtError {
  return new EvtError(
    'conflict',
    `cannot write to topic ${topic} of sink ${sink}: it has events of another log or sink`,
    {
      hint: 'give the sink a topic of its own; if this is the topic of a sink that had another name, keep that name',
    },
  )
}
