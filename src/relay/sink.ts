import { setTimeout as delay } from 'node:timers/promises'
import { typeIn } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import { originNames } from '../core/origin.ts'
import type { Store } from '../store/connection.ts'
import type { LogEntry } from '../store/log.ts'
import { type RelayDeadLetter, writeRelayDeadLetter } from '../store/relay-dead-letters.ts'
import { openSinkCursor } from '../store/sinks.ts'
import type { Message, Received, Transport } from '../transports/transport.ts'
import { createEncoder, type EncodeForSink, renamedHeaders } from './encode.ts'
import type { HeadBell } from './head-bell.ts'
import type { LogPage, ReadPage } from './log-pages.ts'
import { originIn } from './origin-in.ts'
import { type Outlet, openOutlet, type Refusal } from './outlet.ts'
import type { RelayLog, SinkMeter } from './relay-recorder.ts'
import { followReplays } from './replays.ts'
import type { SinkConfig } from './sink-config.ts'
import { type CursorKeeper, createCursorKeeper } from './sink-cursor.ts'
import { tellOnce, watchSilence } from './trouble.ts'

/** One sink under one leadership. */
export interface SinkTask {
  readonly config: SinkConfig
  readonly sql: Store
  readonly epoch: bigint
  readonly storeId: string
  readonly instance: string
  readonly bell: HeadBell
  readonly readPage: ReadPage
  readonly meter: SinkMeter
  readonly log: RelayLog
  /** No page is begun any more. */
  readonly stopping: AbortSignal
  /** What is under way is given up. */
  readonly forced: AbortSignal
  open(): Promise<Transport>
}

const retryMs = { first: 50, longest: 5_000 } as const
/** A connection that does not come back by itself is made anew, at the price of sending again what the cursor does not cover. */
const patienceMs = 30_000
const verifyMs = 2_000

/** Carries the log to one sink until told to stop. Outages are waited out, and so is another leader: ours ends then. Never throws. */
export async function runSink(task: SinkTask): Promise<void> {
  const { config, log, meter, stopping } = task
  let waitMs: number = retryMs.first
  let told: string | undefined
  while (!stopping.aborted) {
    const round = createRound(task, () => {
      if (told) log.info('a sink goes on', { sink: config.name })
      told = undefined
      waitMs = retryMs.first
      meter.waiting(undefined)
    })
    try {
      await round.carry()
    } catch (error) {
      if (stopping.aborted) return
      told = tellOnce(task, error, { told, wasConnected: round.isConnected() })
      await delay(waitMs, undefined, { signal: stopping }).catch(() => {})
      waitMs = Math.min(waitMs * 2, retryMs.longest)
    }
  }
}

/** One connection, from where the sink is to where it fails or has to stop. */
function createRound(task: SinkTask, onProgress: () => void) {
  const { config, sql, epoch, meter, bell } = task
  /** Set by what goes on beside the carrying. */
  const failed = new AbortController()
  const signal = AbortSignal.any([task.stopping, failed.signal])
  let pausedMs = 0
  let wasSilent = false
  let connected = false

  async function bury({ message, topic, error }: Refusal): Promise<void> {
    const received = { ...message, topic, at: String(message.log), deliveries: 1 }
    const type = typeHere(config, message)
    const facts = { class: error.name, code: error.code, message: error.message }
    const by = `sink:${config.name}`
    const dead = {
      by,
      message: received,
      type,
      reason: 'non-retryable',
      error: facts,
      instance: task.instance,
    } as const
    const id = await writeRelayDeadLetter(sql, dead)
    meter.dead()
    task.log.error('a sink refused an event for good', {
      sink: config.name,
      event: message.id,
      deadLetter: id,
      error: error.message,
    })
  }

  /** Sends nothing twice, so it stays with what it has. */
  async function pause(error: unknown, stored: number): Promise<void> {
    if (stored > 0) pausedMs = 0
    if (task.forced.aborted || signal.aborted || pausedMs > patienceMs) throw error
    const waitMs = Math.min(Math.max(retryMs.first, pausedMs), retryMs.longest)
    if (pausedMs === 0) tellOnce(task, error, { wasConnected: true })
    await delay(waitMs, undefined, { signal }).catch(() => {})
    pausedMs += waitMs
  }

  async function carry(): Promise<void> {
    const transport = await task.open()
    connected = true
    let outlet: Outlet | undefined
    let keeper: CursorKeeper | undefined
    let replays: Promise<void> | undefined
    const done = new AbortController()
    try {
      const target = redactUrl(config.url)
      const cursor = await openSinkCursor(sql, { name: config.name, target, start: config.start })
      const encode = createEncoder({
        dialect: config.dialect,
        storeId: task.storeId,
        sink: config.name,
        content: transport.capabilities.content,
        renames: config.renames,
      })
      outlet = await openOutlet({ sql, transport, config, epoch, cursor, bury, pause })
      const { from, mark } = outlet
      if (from < cursor.position)
        task.log.info('a sink has less than was carried to it: it gets that again', {
          sink: config.name,
          events: String(cursor.position - from),
        })
      keeper = createCursorKeeper({
        sql,
        name: config.name,
        epoch,
        position: cursor.position,
        beforeMove: (position) => mark(position, task.forced),
        onFailed: (error) => failed.abort(error),
      })
      const { retry } = outlet
      const again = async (message: Received) => {
        const error = await retry(message, task.forced)
        return error && deadLetterOf(task, message, error)
      }
      const ended = AbortSignal.any([signal, done.signal])
      replays = followReplays({ store: sql, by: byOf(config), log: task.log, signal: ended, retry: again })
      await carryFrom(from, outlet, { encode, keeper })
      failed.signal.throwIfAborted()
    } finally {
      done.abort()
      await replays
      // What is done is noted, where the store can still be reached.
      if (task.stopping.aborted && !failed.signal.aborted && !task.forced.aborted) await keeper?.flush().catch(() => {})
      keeper?.stop()
      await (outlet ?? transport).close().catch(() => {})
    }
  }

  async function carryFrom(
    from: bigint,
    outlet: Outlet,
    { encode, keeper }: { readonly encode: EncodeForSink; readonly keeper: CursorKeeper },
  ): Promise<void> {
    let position = from
    let ahead: ReturnType<typeof read> | undefined
    while (!signal.aborted) {
      // The bell knows the head once the first step is made.
      if (bell.head > 0n && position >= bell.head) {
        onProgress()
        await idle(position, outlet)
        if (signal.aborted) return
      }
      const { page, head } = await (ahead ?? read(position))
      ahead = undefined
      // Up to the head that was known before, nothing that can be read is left.
      const reached = page.at(-1)?.position ?? (head > position ? head : undefined)
      if (reached === undefined) {
        onProgress()
        await idle(position, outlet)
        continue
      }
      // The next page is read while this one is sent.
      if (reached < bell.head) ahead = read(reached)
      await deliverPage(page, reached, outlet, encode)
      position = reached
      if (pausedMs > 0 || wasSilent) task.log.info('a sink goes on', { sink: config.name })
      pausedMs = 0
      wasSilent = false
      onProgress()
      keeper.reached(position)
      meter.reached(position, bell.head)
    }
  }

  /** Until there is more. What a sink has lost meanwhile is sent again also when nothing new comes. */
  async function idle(position: bigint, outlet: Outlet): Promise<void> {
    while (!signal.aborted && bell.head <= position) {
      const looking = AbortSignal.timeout(verifyMs)
      await bell.beyond(position, AbortSignal.any([signal, looking]))
      if (looking.aborted && !signal.aborted) await outlet.verify()
    }
  }

  function read(after: bigint): Promise<LogPage> {
    const reading = task.readPage(after)
    // Whoever stops does not wait for it.
    reading.catch(() => {})
    return reading
  }

  /** Topics beside each other; within one, one batch after the other: so a lane is never overtaken. */
  async function deliverPage(
    page: readonly LogEntry[],
    through: bigint,
    outlet: Outlet,
    encode: EncodeForSink,
  ): Promise<void> {
    const byTopic = new Map<string, Message[]>()
    const sequencedMs: number[] = []
    for (const entry of page) {
      if (!config.wanted.matches(entry.type)) continue
      const topic = outlet.topicOf(entry.type)
      if (entry.headers[`ce-${originNames.origin}`] !== undefined && cameFrom(entry, outlet.placeOf(topic))) {
        meter.looped()
        continue
      }
      const encoded = encodeOr(entry, encode, (error) => bury({ message: rawMessage(entry, config), topic, error }))
      // Not waited for where there is nothing to wait for: this is done for every event.
      const message = encoded instanceof Promise ? await encoded : encoded
      if (!message) continue
      sequencedMs.push(entry.sequencedMs)
      const messages = byTopic.get(topic)
      if (messages) messages.push(message)
      else byTopic.set(topic, [message])
    }
    const silence = watchSilence(task)
    const sent = [...byTopic].map(([topic, messages]) => outlet.deliver(topic, messages, through, task.forced))
    // All have ended before anything else is tried.
    const outcomes = await Promise.allSettled(sent)
    wasSilent ||= silence.end()
    const wrong = outcomes.find((outcome) => outcome.status === 'rejected')
    if (wrong) throw wrong.reason
    const nowMs = performance.timeOrigin + performance.now()
    for (const ms of sequencedMs) meter.carried((nowMs - ms) * 1000)
  }

  return { carry, isConnected: () => connected }
}

const byOf = ({ name }: SinkConfig) => `sink:${name}`

function deadLetterOf({ config, instance }: SinkTask, message: Received, error: EvtError): RelayDeadLetter {
  return {
    by: byOf(config),
    message,
    type: typeHere(config, message),
    reason: 'non-retryable',
    error: { class: error.name, code: error.code, message: error.message },
    instance,
  }
}

/** What dead letters are looked for by, whatever it is called there. */
function typeHere({ renames }: SinkConfig, { headers }: Pick<Message, 'headers'>): string {
  const there = typeIn(headers)
  return (renames.here(there) ?? there) || 'unknown'
}

/** Undefined for an event that the sink's dialect cannot hold: it is buried. */
function encodeOr(
  entry: LogEntry,
  encode: EncodeForSink,
  bury: (error: EvtError) => Promise<void>,
): Message | Promise<undefined> {
  try {
    return encode(entry)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    return bury(error).then(() => undefined)
  }
}

const rawMessage = ({ id, subject, headers, dataText, position }: LogEntry, { renames }: SinkConfig): Message => ({
  id,
  key: subject,
  headers: renamedHeaders(headers, renames),
  body: Buffer.from(dataText),
  log: position,
})

const cameFrom = (entry: LogEntry, place: string) => originIn(entry.headers).origin === place
