import { assign } from './assign.ts'
import type { Cluster } from './cluster.ts'
import { throwIfGroupFailed } from './offsets.ts'
import { kafkaCall } from './protocol.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from './subscription.ts'
import type { Place } from './wire.ts'

const protocolName = 'cooperative-sticky'
/** So long the group waits for members to join again; ours need a heartbeat. */
const rebalanceMs = 10_000
const answerMs = rebalanceMs + 5_000
const memberIdRequired = 79

export interface ShareLanesOptions {
  readonly group: string
  /** Of a connection that may wait. */
  readonly purpose: string
  readonly sessionMs: number
  /** Empty for somebody new. */
  readonly memberId: string
  readonly subscription: Subscription
  /** What the group calls this member, as soon as it is known. */
  onName(memberId: string): void
}

export interface Round {
  readonly generation: number
  readonly assigned: readonly Place[]
  /** When the last call that was answered left. */
  readonly heardAt: number
}

/** One round of the group: everybody joins, one shares out, everybody learns its lanes. Throws what the coordinator answers. */
export async function shareLanes(cluster: Cluster, options: ShareLanesOptions): Promise<Round> {
  const { group, purpose, sessionMs, subscription, onName } = options
  const waiting = { purpose, timeoutMs: answerMs }
  const parameters = {
    groupId: group,
    sessionTimeout: sessionMs,
    rebalanceTimeout: rebalanceMs,
    protocolType: 'consumer',
    groupProtocols: [{ name: protocolName, metadata: encodeSubscription(subscription) }],
  }
  const join = (memberId: string) =>
    cluster.askCoordinator(group, (versions) => kafkaCall(versions, 'JoinGroup', { ...parameters, memberId }), waiting)
  let joined = await join(options.memberId)
  // It wants the name that it has just given, so that a member whose answer was lost is not counted twice.
  if (joined.errorCode === memberIdRequired) {
    onName(joined.memberId)
    joined = await join(joined.memberId)
  }
  throwIfGroupFailed(cluster, group, joined.errorCode)
  const { memberId, generationId, leaderId, members } = joined
  onName(memberId)
  const groupAssignment = leaderId === memberId ? await shareOut(cluster, members) : []
  const heardAt = performance.now()
  const answer = { groupId: group, generationId, memberId, groupAssignment }
  const synced = await cluster.askCoordinator(group, (versions) => kafkaCall(versions, 'SyncGroup', answer), waiting)
  throwIfGroupFailed(cluster, group, synced.errorCode)
  const assigned = decodeAssignment(synced.memberAssignment ?? Buffer.alloc(0))
  return { generation: generationId, assigned, heardAt }
}

async function shareOut(cluster: Cluster, joined: readonly { memberId: string; memberMetadata: Buffer }[]) {
  const all = joined.map(({ memberId: id, memberMetadata }) => ({ id, ...decodeSubscription(memberMetadata) }))
  const names = [...new Set(all.flatMap(({ topics }) => topics))]
  const found = await cluster.refresh(names)
  const partitions = new Map(names.map((name) => [name, found.get(name)?.partitions.length ?? 0]))
  return [...assign(all, partitions)].map(([memberId, places]) => ({
    memberId,
    memberAssignment: encodeAssignment(places),
  }))
}
