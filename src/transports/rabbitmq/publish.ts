import { typeIn } from '../../core/codec.ts'
import { slotOf } from '../../core/slot.ts'
import type { Message, Transport } from '../transport.ts'
import { missing } from './errors.ts'
import type { Outgoing, Sender } from './sender.ts'
import type { Session } from './session.ts'
import { routingKeyOf, type Topic, type Topics } from './topics.ts'
import { toProperties } from './wire.ts'

export function createPublish(session: Session, topics: Topics, sender: Sender): Transport['publish'] {
  let spread = 0

  /** What comes from a log and is sent again goes where it went before: there it is known. */
  function laneOf({ key, log }: Message, lanes: number): number {
    if (key !== null) return slotOf(key) % lanes
    return log === undefined ? spread++ % lanes : Number(log % BigInt(lanes))
  }

  async function address(topic: string, batch: readonly Message[]): Promise<readonly Outgoing[]> {
    const kind = await topics.resolve(topic)
    if (kind === undefined) throw missing(`publish to ${topic}`)
    const nowMs = Date.now()
    return batch.map((message) => {
      const lane = kind.kind === 'lanes' ? laneOf(message, kind.lanes) : 0
      const envelope = Object.assign(toProperties(message, nowMs), wayTo(topic, kind, lane, message))
      envelope.mandatory = true
      return { lane, envelope, body: bytesOf(message.body) }
    })
  }

  function wayTo(topic: string, kind: Topic, lane: number, message: Message) {
    if (kind.kind === 'queue') return { exchange: '', routingKey: topic }
    const type = typeIn(message.headers)
    if (kind.kind === 'lanes') return { exchange: topic, routingKey: routingKeyOf(lane, type) }
    const { bindingKey } = session.options
    const literal = bindingKey !== undefined && !/[*#]/.test(bindingKey) ? bindingKey : undefined
    return { exchange: topic, routingKey: message.headers['amqp-routing-key'] ?? literal ?? type }
  }

  return (topic, batch, signal) =>
    sender.send({ topic, count: batch.length, signal, prepare: () => address(topic, batch) })
}

/** Without a copy. */
export const bytesOf = (body: Uint8Array): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
