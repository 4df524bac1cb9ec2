import { setTimeout as delay } from 'node:timers/promises'
import type { EncodedEvent } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import { planTopics } from '../core/layout.ts'
import { redactUrl } from '../core/mask.ts'
import { placeOfTopic } from '../core/origin.ts'
import type { Store } from '../store/connection.ts'
import { isOutage } from '../store/errors.ts'
import { publishEncoded } from '../store/outbox.ts'
import { type RelayDeadLetter, type Retry, writeRelayDeadLetter } from '../store/relay-dead-letters.ts'
import type { Lane, Received, Transport } from '../transports/transport.ts'
import { makeTopics } from './read-sink.ts'
import type { RelayLog, SourceMeter } from './relay-recorder.ts'
import { followReplays } from './replays.ts'
import type { SealTaken } from './seal-taken.ts'
import { sealedLetter } from './sealed-letter.ts'
import type { SinkConfig } from './sink-config.ts'
import type { SourceConfig } from './source-config.ts'
import { deadLetterOf, type TakenIn, takeIn } from './take-in.ts'
import { levelOf } from './trouble.ts'

/** One source in one process. */
export interface SourceTask {
  readonly config: SourceConfig
  readonly store: Store
  readonly storeId: string
  readonly instance: string
  readonly meter: SourceMeter
  readonly log: RelayLog
  readonly stopping: AbortSignal
  readonly ours: readonly SinkConfig[]
  /** Undefined where no contract encrypts. */
  readonly seal?: SealTaken | undefined
  open(): Promise<Transport>
  /** Until this process leads; then a signal that aborts when it does no more. Undefined when it stops before. */
  leading(): Promise<AbortSignal | undefined>
}

const retryMs = { first: 100, longest: 5_000 } as const
const takeSize = 500
const laneCount = 16

/** Brings one source's messages into the store until told to stop. Outages are waited out. Never throws. */
export async function runSource(task: SourceTask): Promise<void> {
  const { config, meter, log, stopping } = task
  let waitMs: number = retryMs.first
  let told: string | undefined
  const onProgress = () => {
    if (told) log.info('a source goes on', { source: config.name })
    told = undefined
    waitMs = retryMs.first
    meter.waiting(undefined)
  }
  while (!stopping.aborted) {
    let connected = false
    const open = async () => {
      const transport = await task.open()
      connected = true
      return transport
    }
    try {
      await runRound({ ...task, open }, onProgress)
      if (stopping.aborted) return
    } catch (error) {
      if (stopping.aborted) return
      const { message, hint } = toError(error) as EvtError
      meter.waiting(message)
      const facts = { source: config.name, from: redactUrl(config.url), error: message, ...(hint ? { hint } : {}) }
      if (told !== message) log[levelOf(error, connected)]('a source waits', facts)
      told = message
    }
    await delay(waitMs, undefined, { signal: stopping }).catch(() => {})
    waitMs = Math.min(waitMs * 2, retryMs.longest)
  }
}

async function runRound(task: SourceTask, onProgress: () => void): Promise<void> {
  const transport = await task.open()
  const done = new AbortController()
  let replays: Promise<void> | undefined
  try {
    const topics = task.config.topics.length > 0 ? task.config.topics : transport.named
    if (topics.length === 0)
      throw new EvtError('config', `cannot read source ${task.config.name}: neither it nor its URL names a topic`, {
        hint: 'set `topic`',
      })
    const read = { task, transport, topics, onProgress }
    for (const { plan, topic } of topics.flatMap((name) => plansOf(task, name)))
      await makeTopics(transport, [topic], plan.lanes)
    const by = `source:${task.config.name}`
    replays = followReplays({ store: task.store, by, log: task.log, signal: done.signal, retry: again(task) })
    const { durable, history } = transport.capabilities
    await (transport.lanes && (durable || history) ? readLanes(read) : readObserved(read))
  } finally {
    done.abort()
    await replays
    await transport.close().catch(() => {})
  }
}

/** A dead letter that is replayed: into the store with the replay's own transaction. */
const again =
  (task: SourceTask): Retry =>
  async (message, sql) => {
    const taken = takeIn(message, task)
    if (taken.kind === 'dead') return sealedLetter(taken.dead, task)
    if (taken.kind === 'looped') return undefined
    await sql.query('savepoint taken')
    try {
      await publishEncoded(sql, await sealed(task, taken.events), { keyed: true })
      return undefined
    } catch (error) {
      const refusal = isOutage(error) ? undefined : refusalOf(error)
      if (!refusal) throw error
      await sql.query('rollback to savepoint taken')
      return sealedLetter(deadLetterOf(message, refusal, task), task)
    }
  }

/** How sinks of ours make this topic, when it is one of theirs. */
function plansOf({ ours, config }: SourceTask, topic: string) {
  const place = placeOfTopic(config.url, topic)
  return ours
    .map((sink) => ({ sink, plan: planTopics(sink), topic }))
    .filter(({ sink, plan }) => plan.fixed?.some((name) => placeOfTopic(sink.url, name) === place))
}

interface Reading {
  readonly task: SourceTask
  readonly transport: Transport
  readonly topics: readonly string[]
  onProgress(): void
}

/** As a group: all processes share it, and what was not settled comes again. */
async function readLanes({ task, transport, topics, onProgress }: Reading): Promise<void> {
  const { config, stopping } = task
  if (config.start === 'latest' && transport.capabilities.history) await tellWhatIsLeft({ task, transport, topics })
  const lanes = transport.lanes?.(topics, config.group, {
    prefetch: 2 * takeSize,
    patterns: ['*'],
    start: config.start,
    lanes: laneCount,
    member: task.instance,
    signal: stopping,
  })
  const pumps = new Set<Promise<void>>()
  for await (const lane of lanes ?? []) {
    const pump: Promise<void> = pumpLane(task, lane, onProgress).finally(() => pumps.delete(pump))
    pumps.add(pump)
  }
  await Promise.all(pumps)
}

/** A group that is new begins at the end: what lies before is not taken in, and whoever set this up should know. */
async function tellWhatIsLeft({ task, transport, topics }: Omit<Reading, 'onProgress'>): Promise<void> {
  const { config, log } = task
  const inspected = await transport.inspect(topics).catch(() => undefined)
  if (inspected === undefined) return
  const { topics: found, groups } = inspected
  if (groups.some(({ group }) => group === config.group)) return
  const messages = found.reduce((sum, topic) => sum + topic.messages, 0)
  if (messages === 0) return
  log.warn('a source starts at the end: what is there already is not taken in', {
    source: config.name,
    topics: topics.join(', '),
    messages,
    hint: "start: 'earliest' in the configuration of the source takes it in, if it is set before the first start",
  })
}

/** In order; a batch is settled when it is committed. */
async function pumpLane(task: SourceTask, lane: Lane, onProgress: () => void): Promise<void> {
  const { stopping, config, log } = task
  while (!lane.lost.aborted && !stopping.aborted) {
    try {
      const batch = await lane.take(takeSize, stopping)
      if (batch.length === 0) continue
      if (!(await storeAll(task, batch, lane.lost))) break
      await lane.settle(batch)
      onProgress()
    } catch (error) {
      log.warn('cannot take from a lane of a source; trying again', {
        source: config.name,
        lane: lane.id,
        error: toError(error).message,
      })
      await delay(retryMs.first * 10, undefined, { signal: stopping }).catch(() => {})
    }
  }
  await lane.release().catch(() => {})
}

/** By one process only, the leader; what is sent while nobody looks is lost, and so it is said. */
async function readObserved({ task, transport, topics, onProgress }: Reading): Promise<void> {
  const { config, log, stopping } = task
  const leading = await task.leading()
  if (!leading) return
  log.info('a source without history: what is sent while evt is away is lost', {
    source: config.name,
    topics: topics.join(', '),
    observes: transport.observes,
  })
  const signal = AbortSignal.any([stopping, leading])
  for await (const batch of transport.observe({ topics, patterns: ['*'] }, { from: 'now', follow: true, signal })) {
    if (!(await storeAll(task, batch, leading))) return
    onProgress()
  }
}

/** Waits while the store is away. False when this ended before it was stored. */
async function storeAll(task: SourceTask, batch: readonly Received[], lost: AbortSignal): Promise<boolean> {
  const signal = AbortSignal.any([task.stopping, lost])
  let waitMs: number = retryMs.first
  while (!lost.aborted) {
    try {
      await storeBatch(task, batch)
      return true
    } catch (error) {
      if (signal.aborted) return false
      task.meter.waiting(toError(error).message)
      task.log.warn('a source waits for the store', { source: task.config.name, error: toError(error).message })
      await delay(waitMs, undefined, { signal }).catch(() => {})
      waitMs = Math.min(waitMs * 2, retryMs.longest)
    }
  }
  return false
}

async function storeBatch(task: SourceTask, batch: readonly Received[]): Promise<void> {
  const taken = batch.map((message) => takeIn(message, task))
  try {
    await commit(task, taken)
  } catch (error) {
    const refusal = isOutage(error) ? undefined : refusalOf(error)
    if (!refusal) throw error
    // The store says of one of them what nobody could say before: which one, is found by halves.
    if (batch.length > 1) {
      const half = batch.length >> 1
      await storeBatch(task, batch.slice(0, half))
      await storeBatch(task, batch.slice(half))
    } else await commit(task, [{ kind: 'dead', dead: deadLetterOf(batch[0] as Received, refusal, task) }])
  }
}

/** What is wrong with an event, as the store says it; undefined for what is not the event's fault. */
function refusalOf(error: unknown): EvtError | undefined {
  if (error instanceof EvtError && ['contract', 'too-large', 'decode', 'unknown-type'].includes(error.code))
    return error
  const { code, message } = (error instanceof EvtError ? error.cause : error) as { code?: unknown; message?: string }
  // Values that do not fit, and constraints.
  if (!/^2[23]/.test(String(code))) return undefined
  return new EvtError('contract', `cannot store it: ${message}`, { cause: error })
}

const sealed = ({ seal }: SourceTask, events: readonly EncodedEvent[]) => (seal ? seal.events(events) : events)

/** One transaction: all events and all dead letters of the batch. */
async function commit(task: SourceTask, taken: readonly TakenIn[]): Promise<void> {
  const { store, meter, log, config } = task
  const events = await sealed(
    task,
    taken.flatMap((one) => (one.kind === 'events' ? one.events : [])),
  )
  const dead = await Promise.all(taken.flatMap((one) => (one.kind === 'dead' ? [sealedLetter(one.dead, task)] : [])))
  if (events.length > 0 && dead.length === 0) await publishEncoded(store, events, { keyed: true })
  else if (dead.length > 0)
    await store.transaction(async (sql) => {
      await publishEncoded(sql, events, { keyed: true })
      for (const one of dead) await writeRelayDeadLetter(sql, one)
    })
  meter.taken(events.length)
  for (const one of taken) if (one.kind === 'looped') meter.looped()
  for (const one of dead) told(one, { meter, log, config })
}

function told(dead: RelayDeadLetter, { meter, log, config }: Pick<SourceTask, 'meter' | 'log' | 'config'>): void {
  meter.dead()
  log.warn('a source has a message that cannot be stored', {
    source: config.name,
    topic: dead.message.topic,
    at: dead.message.at,
    error: dead.error.message,
  })
}
