import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import type { Lane, LogPosition, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createWindow } from '../window.ts'
import { passes, translate, typeOf } from './errors.ts'
import type { Fetcher, Reading } from './fetcher.ts'
import { createIntake } from './intake.ts'
import { type LastLogs, moveOn } from './last-logs.ts'
import type { Commit, CommitNote } from './offsets.ts'
import { offsetOf, type Place, readMessage, typeOfMessage } from './wire.ts'

/** So many messages in a row that come from before the last one: no relay that went back a little. */
const suspiciousRun = 10_000

export interface KafkaLane extends Lane {
  readonly place: Place
  readonly topicId: string | undefined
  /** How many partitions its topic had. */
  readonly partitions: number
  /** What is to be committed; undefined when nothing changed since `committed`. */
  readonly dirty: Commit | undefined
  committed(commit: Commit): void
  /** Hands out nothing more and releases itself when nothing is unsettled. */
  drain(): void
  /** Hands out nothing more, until somebody does something about it. */
  stop(): void
  lose(reason: string): void
}

export interface KafkaLaneInit {
  readonly place: Place
  readonly topicId: string | undefined
  readonly partitions: number
  readonly epoch: bigint
  readonly from: bigint
  /** Where each log that was written here had got to. */
  readonly logs: LastLogs
  /** The group has nothing here yet: its start is to be committed. */
  readonly isNew: boolean
  readonly prefetch: number
  readonly wanted: Wanted
  readonly fetcher: Fetcher
  /** The member may have been taken for dead: the lane is asked before it hands anything out. */
  isMember(): boolean
  /** There is something to commit. */
  onDirty(): void
  /** Commits what is settled, as far as the server lets it, within seconds. */
  flush(): Promise<void>
  onEnd(lane: KafkaLane): void
  onProblem(error: EvtError): void
  onTopicGone(lane: KafkaLane): void
  onOutOfRange(lane: KafkaLane, offset: bigint): void
}

export function createKafkaLane(init: KafkaLaneInit): KafkaLane {
  const { place, prefetch, wanted, fetcher, onProblem } = init
  const { topic, partition } = place
  const id = `${topic}/${partition}`
  const lost = new AbortController()
  const bell = createDoorbell()
  const window = createWindow()
  const intake = createIntake({ from: init.from, read: (record) => readMessage(place, record), onSkipped })
  /** Log positions of what was read and is not committed yet, by offset. */
  let entries: { readonly offset: bigint; readonly log: LogPosition; readonly logId: string }[] = []
  const lastLogs = new Map(init.logs)
  let settledLogs = init.logs
  let droppedInARow = 0
  let committedTo = init.isNew ? -1n : init.from
  let draining: NodeJS.Timeout | undefined
  let stopped = false

  function onSkipped(count: number, at: bigint, reason: Error): void {
    const hint = `look at it: kafka-dump-log, or kafka-console-consumer --topic ${topic} --partition ${partition} --offset ${at}`
    onProblem(
      new EvtError(
        'decode',
        `cannot read ${count} messages of ${topic} from ${partition}:${at} on: ${reason.message}; they are skipped`,
        { hint, cause: reason },
      ),
    )
  }

  /** A leader of the relay that came back sends again what is stored: handlers have seen it. */
  function isRegression({ log, logId = '', at }: Received): boolean {
    if (log === undefined) return false
    const last = lastLogs.get(logId)
    if (last === undefined || log > last) {
      moveOn(lastLogs, logId, log)
      droppedInARow = 0
      return false
    }
    if (++droppedInARow === suspiciousRun) {
      const hint = `was the log restored from an older copy? then give the group a new name, or reset it: kafka-consumer-groups --reset-offsets --topic ${topic}`
      onProblem(
        new EvtError(
          'conflict',
          `cannot trust ${id}: ${suspiciousRun} messages in a row, now at ${at}, come from before log position ${last} and are dropped`,
          { hint },
        ),
      )
    }
    return true
  }

  function collect(max: number): readonly Received[] {
    const batch: Received[] = []
    if (draining !== undefined || stopped || !init.isMember()) return batch
    const room = Math.min(max, prefetch - window.unsettled)
    while (batch.length < room) {
      const message = intake.next()
      if (message === undefined) break
      const isDropped = isRegression(message)
      const offset = intake.reached - 1n
      if (message.log !== undefined && !isDropped)
        entries.push({ offset, log: message.log, logId: message.logId ?? '' })
      if (isDropped || !wanted(typeOfMessage(message))) continue
      window.add(offset)
      batch.push(message)
    }
    if (!intake.isFull) fetcher.wake()
    if (committable() !== committedTo) init.onDirty()
    return batch
  }

  /** The next offset of the settled prefix. */
  const committable = () => window.prefix(intake.reached - 1n) + 1n

  const reading: Reading = {
    topic,
    topicId: init.topicId,
    partition,
    get offset() {
      return intake.fetchFrom
    },
    get isHungry() {
      return !stopped && draining === undefined && !intake.isFull
    },
    onFetched(fetched) {
      intake.add(fetched)
      bell.ring()
    },
    onError(error) {
      const type = typeOf(error)
      if (type === 'OFFSET_OUT_OF_RANGE') init.onOutOfRange(lane, intake.fetchFrom)
      else if (type === 'UNKNOWN_TOPIC_ID' || type === 'UNKNOWN_TOPIC_OR_PARTITION') init.onTopicGone(lane)
      else if (!passes(error)) onProblem(translate(error, `read ${topic}`))
    },
  }

  function end(reason: string): void {
    if (lost.signal.aborted) return
    clearTimeout(draining)
    fetcher.remove(reading)
    lost.abort(new EvtError('fenced', `lane ${id} is no longer ours: ${reason}`))
    init.onEnd(lane)
  }

  let releasing: Promise<void> | undefined
  async function release(): Promise<void> {
    if (lost.signal.aborted) return
    stopped = true
    bell.ring()
    releasing ??= init.flush().then(
      () => end('it was released'),
      () => end('it was released'),
    )
    await releasing
  }

  function note(offset: bigint): CommitNote {
    const logs = new Map(settledLogs)
    for (const entry of entries) {
      if (entry.offset >= offset) break
      moveOn(logs, entry.logId, entry.log)
    }
    return {
      logs,
      ...(init.topicId !== undefined && { topicId: init.topicId }),
      partitions: init.partitions,
    }
  }

  const lane: KafkaLane = {
    id,
    epoch: init.epoch,
    lost: lost.signal,
    place,
    topicId: init.topicId,
    partitions: init.partitions,
    release,
    get dirty() {
      const offset = committable()
      return offset === committedTo || lost.signal.aborted ? undefined : { ...place, offset, note: note(offset) }
    },
    committed({ offset, note: { logs } }) {
      committedTo = offset
      settledLogs = logs
      const behind = entries.findIndex((entry) => entry.offset >= offset)
      entries = behind < 0 ? [] : entries.slice(behind)
    },
    async take(max, signal) {
      while (!lost.signal.aborted && !signal.aborted) {
        const batch = collect(max)
        if (batch.length > 0) return batch
        await bell.wait(signal, lost.signal)
      }
      return []
    },
    async settle(done) {
      if (lost.signal.aborted || done.length === 0) return
      for (const message of done) window.settle(offsetOf(message))
      if (committable() !== committedTo) init.onDirty()
      if (draining !== undefined && window.unsettled === 0) await release()
      bell.ring()
    },
    drain() {
      if (window.unsettled === 0) void release()
      else draining ??= setTimeout(() => void release(), drainMs).unref()
    },
    stop() {
      stopped = true
      clearTimeout(draining)
    },
    lose: end,
  }
  fetcher.add(reading)
  if (init.isNew) init.onDirty()
  return lane
}
