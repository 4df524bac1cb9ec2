import type { RedisContext } from './context.ts'
import { deadLetterStreamOf, gravesKey } from './dead-letters.ts'
import { translateError } from './errors.ts'
import { groupsKey, idKeys, laneKey, membersKey, topicKey } from './topic.ts'

/** Topics that evt made, with their groups and dead letters; streams of others stay. */
export async function removeTopics(
  { connections: { client }, topics, options }: RedisContext,
  names: readonly string[],
) {
  for (const name of names) {
    const { ours, streams } = await topics.find(name)
    if (!ours) continue
    try {
      const groups = (await Promise.all(streams.map((stream) => client.hkeys(groupsKey(stream))))).flat()
      const ofLanes = streams.flatMap((stream) => [stream, laneKey(stream), groupsKey(stream), ...idKeys(stream)])
      const members = [...new Set(groups)].map((group) => membersKey(name, group))
      const dead = deadLetterStreamOf(name)
      // The last one makes the topic ours: as long as it is there, another call finds the rest.
      for (const key of [...ofLanes, ...members, dead, gravesKey(dead), topicKey(name)]) await client.unlink(key)
    } catch (error) {
      throw translateError(error, options.place, `remove ${name}`)
    }
    topics.forget(name)
  }
}
