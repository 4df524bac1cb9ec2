import { readAbout } from './about.ts'
import { shapeOf } from './group.ts'
import { queueState } from './queue-state.ts'
import type { Session } from './session.ts'
import type { Topics } from './topics.ts'

/** Of the queues in which a message to `topic` lies down, as far as evt made them, the one with most in it; undefined where none is known. */
export async function fullestQueue(session: Session, topics: Topics, topic: string) {
  try {
    const link = await session.link('read')
    const kind = await topics.resolve(topic)
    if (kind === undefined) return undefined
    const groups = kind.kind === 'queue' ? [] : Object.keys((await readAbout(link, topic))?.groups ?? {})
    const lanes = groups.flatMap((group) => shapeOf(topic, kind, group).lanes)
    const queues = kind.kind === 'queue' ? [topic] : lanes.map(({ queue }) => queue)
    const found = await Promise.all(
      queues.map(async (queue) => ({ queue, ready: (await queueState(link, queue))?.messageCount ?? 0 })),
    )
    return found.toSorted((a, b) => b.ready - a.ready)[0]
  } catch {
    // The refusal is what has to be told; where it comes from is only a help.
    return undefined
  }
}
