import { aboutQueueOf, readAbout } from './about.ts'
import { deadLetterQueueOf } from './burial.ts'
import { withChannel, within } from './connect.ts'
import { formerQueues, shapeOf } from './group.ts'
import type { Session } from './session.ts'

/** Topics that evt made, with their groups and dead letters; what somebody else made stays. What is missing is passed over. */
export async function removeTopics(session: Session, topics: readonly string[]): Promise<void> {
  const link = await session.link('read')
  for (const topic of topics) {
    const about = await readAbout(link, topic)
    if (about?.lanes === undefined) continue
    const kind = { kind: 'lanes', lanes: about.lanes } as const
    const groups = Object.keys(about.groups).map((group) => shapeOf(topic, kind, group))
    const queues = groups.flatMap(({ lanes, epochs, members, hungry, ...group }) => [
      ...lanes.flatMap(({ queue, lock, started }) => [queue, lock, started]),
      epochs,
      members,
      hungry,
      ...formerQueues(group),
    ])
    await withChannel(link, async (channel) => {
      await within(channel.exchangeDelete({ exchange: topic }), `remove exchange ${topic}`)
      for (const queue of [...queues, deadLetterQueueOf(topic)])
        await within(channel.queueDelete({ queue }), `remove queue ${queue}`)
      // Last: as long as it is there, another call finds the rest.
      await within(channel.queueDelete({ queue: aboutQueueOf(topic) }), `remove what is known of ${topic}`)
    })
  }
}
