import { type EvtError, toError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { LaneOptions } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { type Cluster, pause, within } from './cluster.ts'
import { createCommitters } from './committer.ts'
import { brokerError, passes, translate, typeOf } from './errors.ts'
import type { Fetcher } from './fetcher.ts'
import { createKafkaLane, type KafkaLane } from './lane.ts'
import { type LaneStart, type LaneStarts, laneStarts, outOfRange, partitionsChanged, topicGone } from './lane-starts.ts'
import type { TopicInfo } from './metadata.ts'
import { placeKey } from './offsets.ts'
import { kafkaCall, type Versions } from './protocol.ts'
import { shareLanes } from './share-lanes.ts'
import type { Place } from './wire.ts'

const releaseWithinMs = 3_000
const leaveWithinMs = 2_000
const closeWithinMs = 4_000
const retryPauseMs = 200
const problemPauseMs = 2_000
const lookAgainMs = 5_000

export interface MemberInit {
  readonly cluster: Cluster
  readonly group: string
  readonly topics: readonly string[]
  readonly options: LaneOptions
  readonly wanted: Wanted
  readonly fetcher: Fetcher
  offer(lane: KafkaLane): void
  onProblem(error: EvtError): void
}

/** One member of a consumer group: who it is, what it owns, what it has settled. */
export interface Member {
  /** It gets no more lanes; what it has it keeps until that is released, and then leaves the group. */
  stopClaiming(): void
  /** Releases everything and leaves, within seconds, server or no server. */
  close(): Promise<void>
}

let members = 0

export function joinGroup(init: MemberInit): Member {
  const { cluster, group, topics, options, onProblem } = init
  const { sessionMs } = cluster.options
  const beatMs = Math.min(1_000, sessionMs / 6)
  const joinPurpose = `join ${++members}`
  const beatPurpose = `group ${members}`
  // A half-open connection is given up in time for a beat over another.
  const beating = { purpose: beatPurpose, timeoutMs: sessionMs * 0.6 }
  const ended = new AbortController()
  const signal = AbortSignal.any([ended.signal, cluster.closing])
  const bell = createDoorbell()
  const owned = new Map<string, KafkaLane>()
  const madeAnew = new Set<string>()
  let memberId = ''
  let generation = -1
  let isClaiming = true
  let isJoining = false
  let mustJoin = true
  /** When the last heartbeat that was answered left. */
  let heardAt = performance.now()
  /** Partitions of the topics, when the lanes were shared out. */
  let counts = ''
  const committers = createCommitters({
    cluster,
    purpose: `commit ${members}`,
    identity: () => ({ group, generation, memberId }),
    isJoining: () => isJoining,
    onDead() {
      forget('the group took this member for dead')
      bell.ring()
    },
    onProblem: (error) => signal.aborted || onProblem(error),
  })

  async function run(): Promise<void> {
    while (!signal.aborted && (isClaiming || owned.size > 0)) {
      try {
        if (mustJoin) await join()
      } catch (error) {
        isJoining = false
        await recover(error)
        continue
      }
      if (!mustJoin) await bell.wait(signal)
      // Lanes are often released together.
      if (mustJoin) await pause(20, signal)
    }
    await leave()
  }

  async function recover(error: unknown): Promise<void> {
    mustJoin = true
    const type = typeOf(error)
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION')
      return forget('the group took this member for dead')
    if (type === 'REBALANCE_IN_PROGRESS') return
    if (passes(error)) {
      cluster.forgetCoordinator(group)
      await pause(retryPauseMs, signal)
      return
    }
    if (!signal.aborted) onProblem(translate(error, `join group ${group}`))
    await pause(problemPauseMs, signal)
  }

  /** Everything is lost; joins as somebody new. */
  function forget(reason: string): void {
    memberId = ''
    mustJoin = true
    for (const lane of owned.values()) lane.lose(reason)
  }

  async function join(): Promise<void> {
    mustJoin = false
    isJoining = true
    const asked = isClaiming
    const owns = [...owned.values()].map(({ place }) => place)
    const round = await shareLanes(cluster, {
      group,
      purpose: joinPurpose,
      sessionMs,
      memberId,
      subscription: { topics, owned: owns, generation, isClaiming: asked },
      onName(name) {
        memberId = name
      },
    })
    generation = round.generation
    heardAt = round.heardAt
    isJoining = false
    // Over its own connection, which is then there.
    void beatOnce().catch(() => {})
    counts = countsOf(await cluster.refresh(topics))
    await reconcile(round.assigned, asked)
  }

  async function reconcile(assigned: readonly Place[], asked: boolean): Promise<void> {
    const keys = new Set(assigned.map(placeKey))
    for (const [key, lane] of owned) if (!keys.has(key)) lane.drain()
    const added = assigned.filter((place) => !owned.has(placeKey(place)))
    if (added.length === 0) return
    if (!isClaiming) {
      // The others think that we want it, unless we told them; then it is their way, and we leave it alone.
      mustJoin ||= asked
      return
    }
    const [round, id] = [generation, memberId]
    const starts = await laneStarts({ cluster, group, places: added, start: options.start, madeAnew })
    if (round !== generation || id !== memberId || !isClaiming) {
      mustJoin = true
      return
    }
    open(starts)
  }

  function open({ starts, problems }: LaneStarts): void {
    for (const problem of problems) onProblem(problem)
    for (const start of starts) openLane(start)
  }

  function openLane(start: LaneStart): void {
    const committer = committers.next()
    const lane = createKafkaLane({
      ...start,
      epoch: BigInt(generation),
      ...{ prefetch: options.prefetch, suspects: options.suspects ?? 1 },
      wanted: init.wanted,
      fetcher: init.fetcher,
      isMember: () => !expire(),
      onDirty: committer.soon,
      onMark: committer.next,
      flush: () => committer.commit(releaseWithinMs),
      onProblem,
      onTopicGone: (lane) => void lookAtTopic(lane),
      onOutOfRange: (lane, offset) => void tellOutOfRange(lane, offset),
      onEnd(lane) {
        const key = placeKey(lane.place)
        if (owned.get(key) === lane) owned.delete(key)
        mustJoin = true
        bell.ring()
      },
    })
    committer.add(lane)
    owned.set(placeKey(start.place), lane)
    init.offer(lane)
  }

  /** True when so long nothing was heard that the group may have given our lanes to others; then they are lost. */
  function expire(): boolean {
    if (performance.now() - heardAt < sessionMs) return false
    for (const lane of owned.values()) lane.lose('no heartbeat was answered for a whole session')
    return true
  }

  async function beat(): Promise<void> {
    let beatAt = performance.now()
    let lookAt = beatAt + lookAgainMs
    while (!signal.aborted) {
      // An answer that took long is no reason to beat later still.
      await pause(Math.max(1, beatAt + beatMs - performance.now()), signal)
      beatAt = performance.now()
      if (signal.aborted) return
      if (memberId !== '' && generation >= 0) await beatOnce().catch(() => {})
      if (owned.size > 0) expire()
      if (performance.now() < lookAt) continue
      lookAt = performance.now() + lookAgainMs
      await lookAtPartitions().catch(() => {})
    }
  }

  async function beatOnce(): Promise<void> {
    const sentAt = performance.now()
    const of = { generation, memberId }
    const parameters = { groupId: group, groupGenerationId: of.generation, memberId: of.memberId }
    const call = (versions: Versions) => kafkaCall(versions, 'Heartbeat', parameters)
    const { errorCode } = await cluster.askCoordinator(group, call, beating)
    const type = errorCode === 0 ? undefined : brokerError(errorCode).type
    if (of.memberId !== memberId || of.generation !== generation) return
    if (type === undefined || type === 'REBALANCE_IN_PROGRESS') heardAt = sentAt
    if (type === undefined || isJoining) return
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') forget('the group took this member for dead')
    else if (type !== 'REBALANCE_IN_PROGRESS') cluster.forgetCoordinator(group)
    if (type === 'REBALANCE_IN_PROGRESS') mustJoin = true
    bell.ring()
  }

  async function lookAtTopic(lane: KafkaLane): Promise<void> {
    const { topic } = lane.place
    const found = await cluster.refresh([topic]).catch(() => undefined)
    if (found === undefined || lane.lost.aborted) return
    const info = found.get(topic)
    if (info === undefined) onProblem(topicGone(topic))
    else if (info.id !== undefined && info.id !== lane.topicId) {
      madeAnew.add(topic)
      lane.lose('the topic was deleted and made anew')
    }
  }

  async function tellOutOfRange(lane: KafkaLane, offset: bigint): Promise<void> {
    lane.stop()
    onProblem(await outOfRange(cluster, group, lane.place, offset))
  }

  const countsOf = (found: ReadonlyMap<string, TopicInfo>) =>
    topics.map((topic) => found.get(topic)?.partitions.length ?? 0).join()

  /** Topics that came back, or have more partitions, are shared out anew. */
  async function lookAtPartitions(): Promise<void> {
    const found = await cluster.refresh(topics)
    if (generation >= 0 && !isJoining && isClaiming && countsOf(found) !== counts) {
      mustJoin = true
      bell.ring()
    }
    for (const lane of owned.values()) {
      const now = found.get(lane.place.topic)?.partitions.length
      if (now === undefined || now === lane.partitions || now === cluster.options.partitions) continue
      lane.stop()
      onProblem(partitionsChanged(group, lane.place.topic, lane.partitions, now))
    }
  }

  async function leave(): Promise<void> {
    ended.abort()
    committers.stop()
    if (memberId !== '' && !cluster.closing.aborted) {
      await cluster
        .askCoordinator(group, (versions) => kafkaCall(versions, 'LeaveGroup', { groupId: group, memberId }), {
          purpose: beatPurpose,
          timeoutMs: leaveWithinMs,
        })
        .catch(() => {})
    }
    for (const purpose of [joinPurpose, beatPurpose]) cluster.disconnect(purpose)
  }

  function stopClaiming(): void {
    isClaiming = false
    bell.ring()
  }

  const running = run().catch((error: unknown) => onProblem(translate(toError(error), `stay in group ${group}`)))
  void beat()
  return {
    stopClaiming,
    async close() {
      stopClaiming()
      await within(closeWithinMs, Promise.all([...owned.values()].map((lane) => lane.release())))
      for (const lane of owned.values()) lane.lose('the transport was closed')
      // A join that waits for others ends with its connection.
      ended.abort()
      cluster.disconnect(joinPurpose)
      bell.ring()
      await within(leaveWithinMs, running)
    },
  }
}
