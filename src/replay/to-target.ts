import { setTimeout as delay } from 'node:timers/promises'
import { EvtError, isForGood } from '../core/errors.ts'
import type { HistoryEntry } from '../core/history.ts'
import type { Store } from '../store/connection.ts'
import type { LogReader } from '../store/log.ts'
import type { Replay, ReplayLease } from '../store/replays.ts'
import type { Message, Published, Transport } from '../transports/transport.ts'
import { holdReplay, type ReplayEnd } from './held.ts'
import { pagesOf, type Wants } from './history.ts'
import { createPace } from './pace.ts'

export interface TargetRun {
  readonly store: Store
  readonly reader: Pick<LogReader, 'read'>
  readonly replay: Replay
  readonly lease: ReplayLease
  readonly wants: Wants
  readonly transport: Transport
  /** Which topic an event goes to. */
  topicOf(entry: HistoryEntry): string
  /** As the target's dialect has it. Throws what cannot be said in it: then that event is refused. */
  messageOf(entry: HistoryEntry): Message
  readonly signal: AbortSignal
  onProgress(done: number): void
}

export interface TargetEnd {
  readonly end: ReplayEnd
  readonly asked: number
  readonly confirmed: number
  readonly duplicates: number
  readonly refused: number
  /** The first reason why something was refused. */
  readonly why: EvtError | undefined
}

const beatMs = 1_000
const answerMs = 30_000
const mostInVain = 5
const againMs = 200

type Failed = Extract<Published, { readonly error: EvtError }>
const unanswered: Failed = { state: 'unknown', error: new EvtError('internal', 'cannot tell what was stored') }

/**
 * Publishes the history to topics, each subject in its order. The position is written down behind what was confirmed: after a crash, events of the last second may come
 * again, with the ids that they had. Throws what the target throws, when it does so again and again.
 */
export async function replayToTarget(run: TargetRun): Promise<TargetEnd> {
  const { replay, wants, lease, store, signal } = run
  const counts = { asked: 0, confirmed: 0, duplicates: 0, refused: 0 }
  let why: EvtError | undefined
  let position = replay.position
  let beatenMs = performance.now()
  const pace = replay.selection.ratePerSecond === undefined ? undefined : createPace(replay.selection.ratePerSecond)
  const progress = () => ({ done: replay.done + counts.confirmed + counts.duplicates, position })
  const held = holdReplay({ sql: store, lease, signal, progress })
  await held.beat()

  async function send(entries: readonly HistoryEntry[]): Promise<void> {
    const byTopic = new Map<string, Message[]>()
    for (const entry of entries) {
      counts.asked += 1
      try {
        const topic = run.topicOf(entry)
        const message = run.messageOf(entry)
        const of = byTopic.get(topic)
        if (of) of.push(message)
        else byTopic.set(topic, [message])
      } catch (error) {
        if (!(error instanceof EvtError)) throw error
        counts.refused += 1
        why ??= error
      }
    }
    await Promise.all([...byTopic].map(([topic, messages]) => publish(topic, messages)))
  }

  /**
   * What nobody knows about is sent again with the same ids, in order: twice is better than never. Who is refused for good is found by sending
   * fewer: what follows it in its lane is refused with it.
   */
  async function publish(topic: string, messages: readonly Message[]): Promise<void> {
    let [rest, size, vain] = [messages, messages.length, 0]
    while (rest.length > 0) {
      const now = rest.slice(0, size)
      const results = await run.transport.publish(topic, now, AbortSignal.timeout(answerMs))
      const { left, failed } = sorted(now, results)
      rest = [...left, ...rest.slice(now.length)]
      if (left.length < now.length) vain = 0
      if (!failed) size = Math.min(rest.length, size * 2)
      else if (failed.state === 'unknown' || !isForGood(failed.error)) {
        vain += 1
        if (vain >= mostInVain) throw failed.error
        await delay(againMs * vain)
      } else if (now.length > 1) size = Math.max(1, left.length >> 1)
      else {
        counts.refused += 1
        why ??= failed.error
        rest = rest.slice(1)
        size = rest.length
      }
    }
  }

  /** What is to be sent again: also what was stored behind something of its key that was not. */
  function sorted(batch: readonly Message[], results: readonly Published[]) {
    const open = new Set<string>()
    const left: Message[] = []
    let failed: Failed | undefined
    for (const [at, message] of batch.entries()) {
      const result = results[at] ?? unanswered
      if (result.state === 'refused' || result.state === 'unknown') failed ??= result
      else if (message.key === null || !open.has(message.key)) {
        if (result.state === 'stored') counts.confirmed += 1
        else counts.duplicates += 1
        continue
      }
      left.push(message)
      if (message.key !== null) open.add(message.key)
    }
    return { left, failed }
  }

  async function page(entries: readonly HistoryEntry[], upTo: bigint): Promise<void> {
    const portion = pace?.portion ?? entries.length
    for (let at = 0; at < entries.length && !held.ending.aborted; at += portion) {
      const some = entries.slice(at, at + portion)
      await pace?.pass(some.length, held.ending)
      if (held.ending.aborted) return
      await send(some)
      position = some.at(-1)?.position ?? position
      await beatSometimes()
    }
    if (!held.ending.aborted) position = upTo
    await beatSometimes()
  }

  async function beatSometimes(): Promise<void> {
    if (performance.now() - beatenMs < beatMs) return
    beatenMs = performance.now()
    await held.beat()
    run.onProgress(counts.asked)
  }

  try {
    for await (const entries of pagesOf(run.reader, { after: position, upto: replay.upto, signal: held.ending })) {
      await page(entries.filter(wants), entries.at(-1)?.position ?? position)
      if (held.ending.aborted) break
    }
  } finally {
    await held.beat().catch(() => {})
  }
  return { end: held.end() ?? 'done', ...counts, why }
}
