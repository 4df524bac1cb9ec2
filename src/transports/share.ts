/**
 * How many of a group's lanes one member should own. Over all members the shares add up to `lanes` and differ by one at
 * most; `turn` rotates who gets the odd ones, so that over many groups nobody gets all of them.
 */
export function fairShare(lanes: number, members: readonly string[], me: string, turn: number): number {
  const rank = members.toSorted().indexOf(me)
  if (rank < 0) return 0
  const place = (rank + turn) % members.length
  return Math.floor(lanes / members.length) + (place < lanes % members.length ? 1 : 0)
}
