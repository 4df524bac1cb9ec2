import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import { deliveriesOf, readyOf, type Suspicion } from '../suspicion.ts'
import type { Lane, LogPosition, Received } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { createWindow } from '../window.ts'
import { passes, translate, typeOf } from './errors.ts'
import type { Fetcher, Reading } from './fetcher.ts'
import { createIntake } from './intake.ts'
import type { LastLogs } from './last-logs.ts'
import { createLogOrder, suspiciousRun } from './log-order.ts'
import type { Commit, CommitNote } from './offsets.ts'
import { offsetOf, type Place, readMessage, typeOfMessage } from './wire.ts'

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
  /** Of what owners that died had in hand; places are offsets behind the message. */
  readonly suspicion: Suspicion
  /** The group has nothing here yet: its start is to be committed. */
  readonly isNew: boolean
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly suspects: number
  readonly wanted: Wanted
  readonly fetcher: Fetcher
  /** The member may have been taken for dead: the lane is asked before it hands anything out. */
  isMember(): boolean
  /** There is something to commit. */
  onDirty(): void
  /** The same, and somebody waits for it. */
  onMark(): void
  /** Commits what is settled, as far as the server lets it, within seconds. */
  flush(): Promise<void>
  onEnd(lane: KafkaLane): void
  onProblem(error: EvtError): void
  onTopicGone(lane: KafkaLane): void
  onOutOfRange(lane: KafkaLane, offset: bigint): void
}

export function createKafkaLane(init: KafkaLaneInit): KafkaLane {
  const { place, prefetch, suspicion, wanted, fetcher, onProblem } = init
  const { topic, partition } = place
  const id = `${topic}/${partition}`
  const lost = new AbortController()
  const bell = createDoorbell()
  const window = createWindow()
  const intake = createIntake({ from: init.from, read: (record) => readMessage(place, record), onSkipped })
  const order = createLogOrder({ logs: init.logs, onSuspicious })
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

  function onSuspicious({ at }: Received, last: LogPosition): void {
    const hint = `was the log restored from an older copy? then give the group a new name, or reset it: kafka-consumer-groups --reset-offsets --topic ${topic}`
    onProblem(
      new EvtError(
        'conflict',
        `cannot trust ${id}: ${suspiciousRun} messages in a row, now at ${at}, come from before log position ${last} and are dropped`,
        { hint },
      ),
    )
  }

  /** What is wanted and not handed out. */
  let queue: Received[] = []
  /** Behind the last that was handed out. */
  let handedTo = init.from
  /** The same, or behind the last that is about to be; and as it was last committed. */
  let started = init.from
  let startedTo = init.from

  const behind = (message: Received) => offsetOf(message) + 1n
  const isOpen = () => draining === undefined && !stopped && !lost.signal.aborted && init.isMember()

  /** Reads on until so many are ready. */
  function fill(count: number): void {
    while (queue.length < count) {
      const message = intake.next()
      if (message === undefined) break
      if (order.isNew(message, intake.reached - 1n) && wanted(typeOfMessage(message))) queue.push(message)
    }
    if (!intake.isFull) fetcher.wake()
    if (committable() !== committedTo) init.onDirty()
  }

  /** How many of the queue's first may be handed out now. */
  function ready(max: number): number {
    if (!isOpen()) return 0
    const room = Math.min(max, prefetch - window.unsettled)
    fill(room)
    const { unsettled } = window
    const first = unsettled === 0 ? undefined : committable() + 1n
    return readyOf(suspicion, { queue, positionOf: behind, unsettled, first, room, together: init.suspects })
  }

  /** Before anything is handed out: whoever comes after our death must know that it may have been started. */
  async function mark(upTo: bigint, signal: AbortSignal): Promise<boolean> {
    started = upTo
    while (startedTo !== upTo && isOpen() && !signal.aborted) {
      init.onMark()
      await bell.wait(signal, lost.signal)
    }
    return startedTo === upTo
  }

  /** It stays in the queue, and nobody's death is its fault. */
  function unmark(): void {
    started = handedTo
    init.onDirty()
  }

  function handOut(count: number): readonly Received[] {
    const batch = queue.slice(0, count)
    queue = queue.slice(count)
    handedTo = started
    for (const message of batch) window.add(offsetOf(message))
    return batch.map((message) => {
      const deliveries = deliveriesOf(suspicion, behind(message))
      return deliveries === message.deliveries ? message : { ...message, deliveries }
    })
  }

  /** The next offset of the settled prefix. */
  const committable = () => window.prefix((queue[0] === undefined ? intake.reached : offsetOf(queue[0])) - 1n) + 1n

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

  function commit(): Commit {
    const offset = committable()
    const note: CommitNote = {
      logs: order.before(offset),
      // What is given back was started by nobody dead.
      started: releasing === undefined && started > offset ? started : offset,
      suspicion,
      ...(init.topicId !== undefined && { topicId: init.topicId }),
      partitions: init.partitions,
    }
    return { ...place, offset, note }
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
      if (lost.signal.aborted) return undefined
      const next = commit()
      return next.offset === committedTo && next.note.started === startedTo ? undefined : next
    },
    committed({ offset, note }) {
      committedTo = offset
      startedTo = note.started
      order.committed(offset, note.logs)
      bell.ring()
    },
    async take(max, signal) {
      while (!lost.signal.aborted && !signal.aborted) {
        const count = ready(max)
        const last = queue[count - 1]
        if (last === undefined) await bell.wait(signal, lost.signal)
        else if ((await mark(behind(last), signal)) && isOpen() && !signal.aborted) return handOut(count)
        else if (started !== handedTo) unmark()
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
