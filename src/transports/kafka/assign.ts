import type { Subscription } from './subscription.ts'
import type { Place } from './wire.ts'

export interface GroupMember extends Subscription {
  readonly id: string
}

/**
 * Who gets which partitions: fair by topic (counts differ by one at most), sticky, cooperative: what another member still owns is given
 * to nobody in this round; its owner gives it back and joins again. A member that is not claiming keeps what it has.
 */
export function assign(
  members: readonly GroupMember[],
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly Place[]> {
  const assigned = new Map<string, Place[]>(members.map(({ id }) => [id, []]))
  let turn = 0
  for (const [topic, count] of counts) {
    const owners = ownersOf(topic, count, members)
    const interested = members.filter(({ topics }) => topics.includes(topic))
    for (const [partition, owner] of owners) if (!owner.isClaiming) assigned.get(owner.id)?.push({ topic, partition })
    const claiming = interested.filter(({ isClaiming }) => isClaiming)
    if (claiming.length > 0) share(topic, count, { claiming, owners, assigned, turn: turn++ })
  }
  return assigned
}

interface Round {
  readonly claiming: readonly GroupMember[]
  readonly owners: ReadonlyMap<number, GroupMember>
  readonly assigned: ReadonlyMap<string, Place[]>
  /** Rotates who gets the odd ones from topic to topic. */
  readonly turn: number
}

function share(topic: string, count: number, { claiming, owners, assigned, turn }: Round): void {
  const ownedBy = (member: GroupMember) =>
    [...owners].filter(([, owner]) => owner === member).map(([partition]) => partition)
  const kept = [...owners.values()].filter(({ isClaiming }) => !isClaiming).length
  const byName = claiming.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const ranked = [...byName.slice(turn % byName.length), ...byName.slice(0, turn % byName.length)].toSorted(
    (a, b) => ownedBy(b).length - ownedBy(a).length,
  )
  const [least, odd] = [Math.floor((count - kept) / ranked.length), (count - kept) % ranked.length]
  const free = Array.from({ length: count }, (_, partition) => partition).filter((partition) => !owners.has(partition))
  for (const [i, member] of ranked.entries()) {
    const quota = least + (i < odd ? 1 : 0)
    const staying = ownedBy(member).slice(0, quota)
    const added = free.splice(0, quota - staying.length)
    assigned.get(member.id)?.push(...[...staying, ...added].map((partition) => ({ topic, partition })))
  }
}

/** Two may claim the same when one was away: the newer generation is right; of the same generation, neither is. */
function ownersOf(topic: string, count: number, members: readonly GroupMember[]): ReadonlyMap<number, GroupMember> {
  const owners = new Map<number, GroupMember>()
  const disputed = new Map<number, number>()
  for (const member of members) {
    for (const place of member.owned) {
      if (place.topic !== topic || place.partition >= count || !member.topics.includes(topic)) continue
      const other = owners.get(place.partition)
      if (other !== undefined && other.generation === member.generation)
        disputed.set(place.partition, member.generation)
      if (other === undefined || other.generation < member.generation) owners.set(place.partition, member)
    }
  }
  for (const [partition, generation] of disputed)
    if (owners.get(partition)?.generation === generation) owners.delete(partition)
  return owners
}
