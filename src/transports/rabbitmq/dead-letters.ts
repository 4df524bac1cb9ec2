import { randomUUID } from 'node:crypto'
import { typeIn } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { slotOf } from '../../core/slot.ts'
import type { BuriedMessage, DeadLetterTopics, Headers, Published } from '../transport.ts'
import { deadLetterQueueOf, declareDeadLetterQueue } from './burial.ts'
import type { Link } from './connect.ts'
import type { Delivery } from './driver.ts'
import { missing } from './errors.ts'
import { deathHeaders, idOf, propertiesOf, toBuried, withoutDeath } from './grave.ts'
import { shapeOf } from './group.ts'
import { assertHarmless, holdQueue } from './looking.ts'
import { createRabbitParking } from './parking.ts'
import { bytesOf } from './publish.ts'
import { queueState } from './queue-state.ts'
import type { Outgoing, Sender } from './sender.ts'
import type { Session } from './session.ts'
import { readStream } from './stream.ts'
import { routingKeyOf, type Topics } from './topics.ts'
import { toProperties } from './wire.ts'

export interface DeadLettersInit {
  readonly session: Session
  readonly topics: Topics
  readonly sender: Sender
}

export function createRabbitDeadLetters({ session, topics, sender }: DeadLettersInit): DeadLetterTopics {
  /** Equal ids are numbered in the order of lying there. */
  function createNumbers() {
    const counts = new Map<string, number>()
    return (delivery: Delivery): number => {
      const id = idOf(delivery)
      const number = (counts.get(id) ?? 0) + 1
      counts.set(id, number)
      return number
    }
  }

  async function* list(queue: string, signal: AbortSignal): AsyncGenerator<readonly BuriedMessage[]> {
    const link = await session.link('read')
    const look = await assertHarmless(link, queue)
    if (look === undefined) return
    const numbers = createNumbers()
    if (look === 'stream') {
      for await (const batch of readStream(link, queue, signal))
        yield batch.map((delivery) => toBuried(delivery, queue, numbers(delivery)))
      return
    }
    const held = await holdQueue(link, queue)
    try {
      for await (const batch of held.batches(signal))
        yield batch.map((delivery) => toBuried(delivery, queue, numbers(delivery)))
    } finally {
      await held.giveBack()
    }
  }

  /** Where it goes: to the queue of the group that gave it up, else to its topic. */
  async function addressOf(
    exists: QueueCheck,
    name: string,
    { origin, message }: BuriedMessage,
    to: string | undefined,
  ) {
    const kind = await topics.resolve(name)
    if (kind === undefined) throw missing(`publish to ${name}`)
    if (kind.kind === 'queue') return { exchange: '', routingKey: name }
    const lane = kind.kind === 'lanes' && message.key !== null ? slotOf(message.key) % kind.lanes : 0
    if (to === undefined && origin.group !== undefined) {
      const queue = shapeOf(name, kind, origin.group).lanes[lane]?.queue
      if (queue !== undefined && (await exists(queue))) return { exchange: '', routingKey: queue }
    }
    const type = typeIn(message.headers)
    return {
      exchange: name,
      routingKey: kind.kind === 'lanes' ? routingKeyOf(lane, type) : (message.headers['amqp-routing-key'] ?? type),
    }
  }

  /** In the order in which they lie there: one ordered send for each topic. */
  async function replayHeld(link: Link, found: readonly Found[], init: ReplayInit): Promise<readonly Published[]> {
    const results = new Map<Found, Published>()
    const topicOf = ({ buried }: Found) => init.to ?? buried.origin.topic
    for (const [topic, letters] of Map.groupBy(found, topicOf)) {
      if (topic === undefined) {
        for (const letter of letters)
          results.set(letter, { state: 'refused', error: withoutOrigin(letter.buried.message.id) })
        continue
      }
      const prepare = () => addressed(link, topic, letters, init)
      const sent = await sender.send({ topic, count: letters.length, signal: init.signal, prepare })
      for (const [i, letter] of letters.entries()) results.set(letter, sent[i] as Published)
    }
    return found.map((letter) => results.get(letter) as Published)
  }

  async function addressed(
    link: Link,
    topic: string,
    letters: readonly Found[],
    { to, headers }: ReplayInit,
  ): Promise<readonly Outgoing[]> {
    /** What has a key goes no further when one before it was refused; what has none stands alone. */
    const lanes = new Map<string | Found, number>()
    const exists = createQueueCheck(link)
    const outgoing: Outgoing[] = []
    for (const letter of letters) {
      const { delivery, buried } = letter
      const way = await addressOf(exists, topic, buried, to)
      const named = buried.message.key ?? letter
      const lane = lanes.get(named) ?? lanes.size
      lanes.set(named, lane)
      outgoing.push({ lane, envelope: { ...again(delivery, headers), ...way, mandatory: true }, body: delivery.body })
    }
    return outgoing
  }

  return {
    nameOf: deadLetterQueueOf,
    ...createRabbitParking({ session, sender }),
    list,
    async bury(topic, burials, signal) {
      const queue = deadLetterQueueOf(topic)
      const ids = burials.map(() => randomUUID())
      const prepare = async (): Promise<readonly Outgoing[]> => {
        await declareDeadLetterQueue(await session.link('read'), queue)
        const nowMs = Date.now()
        return burials.map((burial, i) => {
          const properties = toProperties(burial.message, nowMs)
          const headers = { ...properties.headers, ...deathHeaders(burial, ids[i] ?? '', nowMs) }
          const envelope = { ...properties, headers, exchange: '', routingKey: queue, mandatory: true }
          return { lane: 0, envelope, body: bytesOf(burial.message.body) }
        })
      }
      const results = await sender.send({ topic: queue, count: burials.length, signal, prepare })
      return results.map((result, i) => (result.state === 'stored' ? { ...result, at: ids[i] ?? '' } : result))
    },
    async replay(queue, ids, { to, headers = {}, signal }) {
      const link = await session.link('read')
      const look = await assertHarmless(link, queue)
      if (look === 'stream') throw keeps(queue)
      if (look === undefined) return ids.map((id) => gone(queue, id))
      const held = await holdQueue(link, queue)
      try {
        const numbers = createNumbers()
        const wanted = new Set(ids)
        const found = new Map<string, Found>()
        for await (const batch of held.batches(signal)) {
          for (const delivery of batch) {
            const buried = toBuried(delivery, queue, numbers(delivery))
            if (wanted.has(buried.id)) found.set(buried.id, { delivery, buried })
          }
        }
        const list = [...found.values()]
        const results = await replayHeld(link, list, { to, headers, signal })
        held.remove(list.filter((_, i) => results[i]?.state === 'stored').map(({ delivery }) => delivery))
        const byId = new Map(list.map(({ buried }, i) => [buried.id, results[i]]))
        return ids.map((id) => byId.get(id) ?? gone(queue, id))
      } finally {
        await held.giveBack()
      }
    },
  }
}

type QueueCheck = (queue: string) => Promise<boolean>

/** Asks once for each queue. */
function createQueueCheck(link: Link): QueueCheck {
  const known = new Map<string, boolean>()
  return async (queue) => {
    const exists = known.get(queue) ?? (await queueState(link, queue)) !== undefined
    known.set(queue, exists)
    return exists
  }
}

interface Found {
  readonly delivery: Delivery
  readonly buried: BuriedMessage
}

interface ReplayInit {
  readonly to: string | undefined
  readonly headers: Headers
  readonly signal: AbortSignal
}

/** As it was first published, with all its types of headers, which a text would lose. */
function again(delivery: Delivery, more: Headers) {
  const extra = toProperties({ id: '', key: null, headers: more, body: delivery.body }, Date.now()).headers
  return { ...propertiesOf(delivery), headers: { ...withoutDeath(delivery.headers), ...extra } }
}

const gone = (queue: string, id: string): Published => ({
  state: 'refused',
  error: new EvtError('refused', `cannot replay ${id}: it does not lie in ${queue}`, {
    hint: 'it may have been replayed before; list the dead letters again',
  }),
})

const withoutOrigin = (id: string) =>
  new EvtError('refused', `cannot replay ${id}: it does not say where it came from`, {
    hint: 'name a topic, exchange or queue to send it to: --to',
  })

const keeps = (queue: string) =>
  new EvtError('unsupported', `cannot replay from ${queue}: a stream keeps what it has, so nothing could be removed`, {
    hint: 'list it, and publish again what is needed',
  })
