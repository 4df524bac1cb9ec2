import { fairShare } from '../share.ts'
import { noSuspicion, type Suspicion } from '../suspicion.ts'
import type { LaneOptions } from '../transport.ts'
import { createWanted, type Wanted } from '../wanted.ts'
import { createMemoryLane, type MemoryLane } from './lane.ts'
import type { Topic } from './topic.ts'

/** What the group knows of one lane, whoever owns it. */
export interface Shard {
  readonly index: number
  /** Settled prefix: everything up to here is done or not wanted. */
  position: bigint
  epoch: bigint
  owner: MemoryLane | undefined
  /** The last position that was handed out. */
  startedTo: bigint
  suspicion: Suspicion
}

export interface Member {
  readonly name: string
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly suspects: number
  readonly wanted: Wanted
  offer(lane: MemoryLane): void
}

export interface Group {
  readonly shards: readonly Shard[]
  readonly members: number
  /** The slowest lane's settled prefix. */
  readonly settledTo: bigint
  join(options: LaneOptions, offer: (lane: MemoryLane) => void): Member
  /** The member claims no more; it keeps what it owns. */
  leave(member: Member): void
}

export function createGroup(topic: Topic, lanes: number, start: bigint): Group {
  const shards: Shard[] = Array.from({ length: lanes }, (_, index) => ({
    index,
    position: start,
    epoch: 0n,
    owner: undefined,
    startedTo: start,
    suspicion: noSuspicion,
  }))
  const members = new Set<Member>()
  let turns = 0

  function claim(shard: Shard, member: Member): void {
    shard.epoch++
    shard.startedTo = shard.position
    shard.owner = createMemoryLane({ topic, shard, lanes, member, onReleased: balance })
    member.offer(shard.owner)
  }

  const ownedBy = (member: Member) => shards.filter((shard) => shard.owner?.member === member)

  function moveLanes(): void {
    const names = [...members].map((member) => member.name)
    for (const member of members) {
      const share = fairShare(lanes, names, member.name, 0)
      for (const shard of ownedBy(member).slice(share)) shard.owner?.drain()
    }
    for (const member of members) {
      const room = fairShare(lanes, names, member.name, 0) - ownedBy(member).length
      const free = shards.filter((shard) => shard.owner === undefined)
      for (const shard of free.slice(0, Math.max(0, room))) claim(shard, member)
    }
  }

  // A lane that drains at once releases, which balances: not inside the balancing that drained it.
  let balancing = false
  function balance(): void {
    if (balancing) return
    balancing = true
    moveLanes()
    balancing = false
  }

  /** Moves a lane past messages of other lanes: it is not woken for them. */
  function skim(shard: Shard): void {
    shard.owner?.skim()
    if (shard.owner !== undefined) return
    while (shard.position < topic.head && (topic.at(shard.position + 1n)?.slot ?? -1) % lanes !== shard.index)
      shard.position++
  }

  return {
    shards,
    get members() {
      return members.size
    },
    get settledTo() {
      let least = topic.head
      for (const shard of shards) {
        skim(shard)
        if (shard.position < least) least = shard.position
      }
      return least
    },
    join(options, offer) {
      const name = `${options.member} ${++turns}`
      const { prefetch, suspects = 1, patterns } = options
      const member = { name, prefetch, suspects, wanted: createWanted(patterns), offer }
      members.add(member)
      balance()
      return member
    },
    leave(member) {
      members.delete(member)
      balance()
    },
  }
}
