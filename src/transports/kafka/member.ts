import { EvtError, toError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { LaneOptions } from '../transport.ts'
import type { Wanted } from '../wanted.ts'
import { assign } from './assign.ts'
import { type Cluster, pause } from './cluster.ts'
import { brokerError, passes, translate, typeOf } from './errors.ts'
import type { Fetcher } from './fetcher.ts'
import { createKafkaLane, type KafkaLane } from './lane.ts'
import { type LaneStart, type LaneStarts, laneStarts, partitionsChanged, topicGone } from './lane-starts.ts'
import type { TopicInfo } from './metadata.ts'
import { commitOffsets, earliest, latest, listOffsets, placeKey, throwIfGroupFailed } from './offsets.ts'
import { kafkaCall } from './protocol.ts'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './subscription.ts'
import type { Place } from './wire.ts'

const protocolName = 'cooperative-sticky'
/** The least that brokers allow by default. */
const sessionMs = 6_000
const rebalanceMs = 10_000
const beatMs = 1_000
const beatAnswerMs = 2_500
const commitEveryMs = 200
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
  const joinPurpose = `join ${++members}`
  const beatPurpose = `group ${members}`
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
  let committing: NodeJS.Timeout | undefined

  const identity = () => ({ group, generation, memberId })

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
    const places = [...owned.values()].map(({ place }) => place)
    const metadata = encodeSubscription({ topics, owned: places, generation, isClaiming: asked })
    const parameters = {
      groupId: group,
      sessionTimeout: sessionMs,
      rebalanceTimeout: rebalanceMs,
      protocolType: 'consumer',
      groupProtocols: [{ name: protocolName, metadata }],
    }
    const ask = () =>
      cluster.askCoordinator(group, (versions) => kafkaCall(versions, 'JoinGroup', { ...parameters, memberId }), {
        purpose: joinPurpose,
        timeoutMs: rebalanceMs + 5_000,
      })
    let answer = await ask()
    // It wants the name that it has just given, so that a member whose answer was lost is not counted twice.
    if (answer.errorCode === 79) {
      memberId = answer.memberId
      answer = await ask()
    }
    throwIfGroupFailed(cluster, group, answer.errorCode)
    memberId = answer.memberId
    const groupAssignment = answer.leaderId === memberId ? await shareOut(answer.members) : []
    const sentAt = performance.now()
    const synced = await cluster.askCoordinator(
      group,
      (versions) =>
        kafkaCall(versions, 'SyncGroup', {
          groupId: group,
          generationId: answer.generationId,
          memberId,
          groupAssignment,
        }),
      { purpose: joinPurpose, timeoutMs: rebalanceMs + 5_000 },
    )
    throwIfGroupFailed(cluster, group, synced.errorCode)
    generation = answer.generationId
    heardAt = sentAt
    isJoining = false
    counts = countsOf(await cluster.refresh(topics))
    await reconcile(decodeAssignment(synced.memberAssignment ?? Buffer.alloc(0)), asked)
  }

  async function shareOut(joined: readonly { memberId: string; memberMetadata: Buffer }[]) {
    const all = joined.map(({ memberId: id, memberMetadata }) => ({ id, ...decodeSubscription(memberMetadata) }))
    const names = [...new Set(all.flatMap((member) => member.topics))]
    const found = await cluster.refresh(names)
    const partitions = new Map(names.map((name) => [name, found.get(name)?.partitions.length ?? 0]))
    return [...assign(all, partitions)].map(([id, places]) => ({
      memberId: id,
      memberAssignment: encodeAssignment(places),
    }))
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
    for (const start of starts) {
      const lane = openLane(start)
      owned.set(placeKey(start.place), lane)
      init.offer(lane)
    }
  }

  function openLane(start: LaneStart): KafkaLane {
    return createKafkaLane({
      ...start,
      epoch: BigInt(generation),
      prefetch: options.prefetch,
      wanted: init.wanted,
      fetcher: init.fetcher,
      isMember: () => !expire(),
      onDirty,
      flush: () => commitAll(releaseWithinMs),
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
  }

  /** True when so long nothing was heard that the group may have given our lanes to others; then they are lost. */
  function expire(): boolean {
    if (performance.now() - heardAt < sessionMs) return false
    for (const lane of owned.values()) lane.lose('no heartbeat was answered for a whole session')
    return true
  }

  async function beat(): Promise<void> {
    let lookAt = performance.now() + lookAgainMs
    while (!signal.aborted) {
      await pause(beatMs, signal)
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
    const of = identity()
    const parameters = { groupId: group, groupGenerationId: of.generation, memberId: of.memberId }
    const { errorCode } = await cluster.askCoordinator(
      group,
      (versions) => kafkaCall(versions, 'Heartbeat', parameters),
      { purpose: beatPurpose, timeoutMs: beatAnswerMs },
    )
    const type = errorCode === 0 ? undefined : brokerError(errorCode).type
    if (of.memberId !== memberId || of.generation !== generation) return
    if (type === undefined || type === 'REBALANCE_IN_PROGRESS') heardAt = sentAt
    if (type === undefined || isJoining) return
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') forget('the group took this member for dead')
    else if (type !== 'REBALANCE_IN_PROGRESS') cluster.forgetCoordinator(group)
    if (type === 'REBALANCE_IN_PROGRESS') mustJoin = true
    bell.ring()
  }

  function onDirty(): void {
    committing ??= setTimeout(() => {
      committing = undefined
      void commitAll(0)
    }, commitEveryMs)
  }

  /** One commit at a time: an older one must not overtake a newer. */
  let lastCommit: Promise<void> = Promise.resolve()
  function commitAll(withinMs: number): Promise<void> {
    lastCommit = lastCommit.then(() => commitWithin(withinMs))
    return lastCommit
  }

  async function commitWithin(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const dirty = [...owned.values()].filter((lane) => lane.dirty !== undefined)
      if (dirty.length === 0 || cluster.closing.aborted) return
      if (await commitOnce(dirty)) return
      if (performance.now() >= deadline) return onDirty()
      await pause(50, cluster.closing)
    }
  }

  async function commitOnce(dirty: readonly KafkaLane[]): Promise<boolean> {
    const of = identity()
    const commits = dirty.flatMap((lane) => (lane.dirty === undefined ? [] : [{ lane, commit: lane.dirty }]))
    try {
      await commitOffsets(
        cluster,
        of,
        beatPurpose,
        commits.map(({ commit }) => commit),
      )
      for (const { lane, commit } of commits) lane.committed(commit)
      return true
    } catch (error) {
      const type = typeOf(error)
      const isCurrent = !isJoining && of.memberId === memberId && of.generation === generation
      if (isCurrent && (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION')) {
        forget('the group took this member for dead')
        bell.ring()
      } else if (
        type !== 'REBALANCE_IN_PROGRESS' &&
        type !== 'ILLEGAL_GENERATION' &&
        type !== 'UNKNOWN_MEMBER_ID' &&
        !passes(error) &&
        !signal.aborted
      ) {
        onProblem(translate(error, `commit the offsets of group ${group}`))
      }
      return false
    }
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
    const { topic, partition } = lane.place
    lane.stop()
    const at = async (time: number) =>
      (await listOffsets(cluster, [lane.place], time).catch(() => undefined))?.get(placeKey(lane.place))
    const [first, end] = [await at(earliest), await at(latest)]
    const reason =
      first !== undefined && offset < first
        ? `${first - offset} messages were deleted before it read them`
        : 'that is behind its end: the broker lost messages, or the offset was set by hand'
    onProblem(
      new EvtError(
        'conflict',
        `cannot go on reading ${topic}/${partition} for group ${group}: it stands at ${offset}, and the topic has ${first ?? '?'} to ${end ?? '?'}; ${reason}`,
        {
          hint: `stop evt, decide where it goes on, and start it: kafka-consumer-groups --group ${group} --topic ${topic}:${partition} --reset-offsets --to-earliest --execute`,
        },
      ),
    )
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
      if (now === undefined || now === lane.partitions) continue
      lane.stop()
      onProblem(partitionsChanged(group, lane.place.topic, lane.partitions, now))
    }
  }

  async function leave(): Promise<void> {
    ended.abort()
    clearTimeout(committing)
    if (memberId !== '' && !cluster.closing.aborted) {
      const parameters = { groupId: group, memberId }
      await cluster
        .askCoordinator(group, (versions) => kafkaCall(versions, 'LeaveGroup', parameters), {
          purpose: beatPurpose,
          timeoutMs: leaveWithinMs,
        })
        .catch(() => {})
    }
    cluster.disconnect(joinPurpose)
    cluster.disconnect(beatPurpose)
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

/** Waits no longer than that; what it waited for goes on. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([work, pause(ms, over.signal)])
  over.abort()
}
