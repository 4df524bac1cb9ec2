import { encodeAs } from '../core/codec/encode-as.ts'
import type { DialectName } from '../core/codec.ts'
import type { TopicPlan } from '../core/layout.ts'
import { sealedMark } from '../core/sealing.ts'
import type { Message, Received, Transport } from '../transports/transport.ts'
import { compressed } from './compressed.ts'
import { deadMessageOf } from './dead-message.ts'
import type { DeadEvent, PublishEnd } from './publish-end.ts'
import type { PublishMeter } from './publish-meter.ts'
import type { PrepareOptions } from './publisher.ts'

/** What of a transport is used. */
export type PublishTarget = Pick<Transport, 'publish' | 'ensure' | 'deadLetters'> &
  Partial<Pick<Transport, 'capabilities'>>

export interface TransportEndOptions {
  readonly transport: PublishTarget
  readonly plan: TopicPlan
  readonly dialect: DialectName
  readonly compressBytes: number
  readonly preparing: PrepareOptions
  readonly meter: PublishMeter
}

/** Who opens sealed fields looks for this in the bytes; what is encrypted would not become smaller either. */
const sealedText = sealedMark.toString()

/** Publishes to a broker. What is refused goes to its dead letters, where it has them. */
export function createTransportEnd(options: TransportEndOptions): PublishEnd<Message> {
  const { transport, plan, dialect, compressBytes, preparing, meter } = options
  const { deadLetters } = transport
  const publishing = plan.fixed ? transport : createdOnUse(transport, plan.lanes)
  const takesBytes = transport.capabilities?.content !== 'events'
  const group = `publisher.${preparing.source}`
  return {
    holds: false,
    encode(event) {
      const encoded = encodeAs(dialect, event)
      const isBig = takesBytes && encoded.body.length > compressBytes && !event.dataText.includes(sealedText)
      const { headers, body } = isBig ? compressed(encoded) : encoded
      if (isBig) meter.compressed += 1
      return { payload: { id: event.id, key: event.subject ?? null, headers, body }, bytes: body.length }
    },
    queueOf: plan.topicOf,
    send: (topic, batch, signal) =>
      publishing.publish(
        topic,
        batch.map(({ payload }) => payload),
        signal,
      ),
    bury:
      deadLetters &&
      (async (dead: DeadEvent, signal) => {
        const topic = plan.topicOf(dead.event.type)
        const message: Received = { ...deadMessageOf(dead, preparing), topic, at: '', deliveries: 1 }
        const error = { class: dead.error.name, message: dead.error.message }
        const [result] = await deadLetters.bury(topic, [{ message, group, error, attempts: 1 }], signal)
        return result?.state === 'stored' || result?.state === 'duplicate'
      }),
  }
}

/** Topics of types that nobody has seen yet are made before their first message. */
function createdOnUse(transport: Pick<Transport, 'publish' | 'ensure'>, lanes: number): Pick<Transport, 'publish'> {
  const made = new Set<string>()
  return {
    async publish(topic, batch, signal) {
      if (!made.has(topic)) {
        await transport.ensure([{ name: topic, lanes }], 'create')
        made.add(topic)
      }
      return transport.publish(topic, batch, signal)
    },
  }
}
