import { EvtError } from '../../core/errors.ts'
import type { BuriedMessage, DeadLetterTopics, Published } from '../transport.ts'
import type { Broker } from './broker.ts'

/** Dead letters of one broker, by the name of their topic. */
export type Graves = Map<string, Map<string, BuriedMessage>>

export function createMemoryDeadLetters(broker: Broker, graves: Graves): DeadLetterTopics {
  const nameOf = (topic: string) => `${topic}:dlq`

  function lieIn(deadLetterTopic: string): Map<string, BuriedMessage> {
    const known = graves.get(deadLetterTopic) ?? new Map<string, BuriedMessage>()
    graves.set(deadLetterTopic, known)
    return known
  }

  return {
    nameOf,
    async bury(topic, burials) {
      const letters = lieIn(nameOf(topic))
      return burials.map(({ message: received, group, error, attempts }): Published => {
        const { topic: from, at, timeMs: _, sequencedMs: __, deliveries: ___, ...message } = received
        const id = `${from}:${group}:${at}`
        const state = letters.has(id) ? 'duplicate' : 'stored'
        letters.set(id, { id, message, origin: { topic: from, at, group }, error, attempts, deadMs: Date.now() })
        return { state, at: id }
      })
    },
    async *list(deadLetterTopic) {
      const letters = graves.get(deadLetterTopic)
      if (letters !== undefined && letters.size > 0) yield [...letters.values()]
    },
    async replay(deadLetterTopic, ids, { to, headers }) {
      const letters = lieIn(deadLetterTopic)
      return ids.map((id): Published => {
        const letter = letters.get(id)
        const topic = to ?? letter?.origin.topic
        if (letter === undefined || topic === undefined)
          return { state: 'refused', error: unknown(deadLetterTopic, id) }
        const message = { ...letter.message, headers: { ...letter.message.headers, ...headers } }
        // On purpose once more: its id is known from the first time.
        const published = broker.republish(broker.topic(topic), message, Date.now())
        if (published.state === 'stored') letters.delete(id)
        return published
      })
    },
  }
}

function unknown(deadLetterTopic: string, id: string): EvtError {
  return new EvtError('refused', `cannot replay ${id}: it does not lie in ${deadLetterTopic}`, {
    hint: 'it may have been replayed before; list the dead letters again',
  })
}
