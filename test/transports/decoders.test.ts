// What was encoded comes back as it was; what was damaged on the way is told or shown, and nothing else is thrown. Tables for single
// cases are beside each decoder's own tests.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeEvent, toHeaders } from '../../src/core/codec.ts'
import { createReader, createWriter } from '../../src/transports/kafka/bytes.ts'
import { formatNote, parseNote } from '../../src/transports/kafka/offsets.ts'
import { readDead } from '../../src/transports/kafka/spring.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../src/transports/kafka/subscription.ts'
import { readMessage, writeMessage } from '../../src/transports/kafka/wire.ts'
import type { Delivery } from '../../src/transports/rabbitmq/driver.ts'
import { toBuried } from '../../src/transports/rabbitmq/grave.ts'
import { fromDelivery, toProperties } from '../../src/transports/rabbitmq/wire.ts'
import { decodeLetter } from '../../src/transports/redis/grave.ts'
import { toReceived } from '../../src/transports/redis/received.ts'
import { decodeOurs, encodeMeta } from '../../src/transports/redis/wire.ts'
import { allows, damage, damaged, holds, same, withinMs } from '../core/damage.ts'
import { anyEvent, attributeText } from '../core/events.ts'
import { anyText } from '../core/texts.ts'

const isRangeError = (thrown: unknown) => thrown instanceof RangeError

const textual = (message: { readonly headers: object }) =>
  expect(Object.values(message.headers).every((value) => typeof value === 'string')).toBe(true)

const anyMessage = fc
  .tuple(anyEvent(), fc.option(fc.bigInt(1n, 2n ** 62n)), attributeText())
  .map(([event, log, logId]) => {
    const { dataText, ...encoded } = encodeEvent(event)
    const message = {
      id: event.id,
      key: event.subject ?? null,
      headers: toHeaders(encoded),
      body: Buffer.from(dataText),
    }
    return log === null ? message : { ...message, log, logId }
  })

describe('every decoder', () => {
  it(
    'of Redis entries and their dead letters',
    () => {
      const entry = (meta: string, body: Uint8Array): Buffer[] =>
        ['evt', meta, 'body', body].map((part) => Buffer.from(part as string))
      holds(
        fc.property(anyMessage, fc.bigInt(0n, 2n ** 62n), fc.nat(3), damage, (message, prev, field, changes) => {
          const { logId: _, ...own } = { logId: '', ...message }
          const fields = entry(encodeMeta(own, 'log' in own ? prev : undefined), own.body)
          same(decodeOurs(fields), 'log' in own ? { ...own, prev } : own)
          fields[field] = damaged(fields[field] as Buffer, changes)
          textual(toReceived('t', 's', [Buffer.from('5-0'), fields], 1))
          const dead = [
            ...fields,
            Buffer.from('dead'),
            damaged(Buffer.from('{"topic":"t","class":"E","ms":1}'), changes),
          ]
          textual(decodeLetter('s:dlq', 's', '5-0', dead).message)
        }),
      )
    },
    withinMs,
  )

  it(
    'of Kafka records and their dead letters',
    () => {
      const read = (bytes: Buffer) => ({ offset: 7n, timeMs: 1, content: createReader(bytes) })
      const place = { topic: 't', partition: 3 }
      holds(
        fc.property(anyMessage, damage, (message, changes) => {
          const writer = createWriter(64)
          writeMessage(writer, message)
          const bytes = Buffer.from(writer.bytes)
          const { body, ...rest } = readMessage(place, read(bytes))
          same({ ...rest, body: Buffer.from(body) }, { ...message, topic: 't', at: '3:7', timeMs: 1, deliveries: 1 })
          const spoilt = damaged(bytes, changes)
          const found = allows(() => readMessage(place, read(spoilt)), isRangeError)
          if (found !== undefined) textual(found)
          const dead = allows(() => readDead(place, read(spoilt)), isRangeError)
          if (dead !== undefined) textual(dead.buried.message)
        }),
      )
    },
    withinMs,
  )

  it(
    'of what members of a Kafka group tell each other',
    () => {
      const topic = attributeText().filter((name) => name !== '')
      const places = fc
        .uniqueArray(topic, { maxLength: 3 })
        .chain((topics) =>
          fc.tuple(
            ...topics.map((name) =>
              fc
                .array(fc.nat(), { minLength: 1, maxLength: 3 })
                .map((all) => all.map((partition) => ({ topic: name, partition }))),
            ),
          ),
        )
        .map((all) => all.flat())
      const subscription = fc.record(
        {
          topics: fc.array(topic, { maxLength: 3 }),
          owned: places,
          generation: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
          isClaiming: fc.boolean(),
        },
        { noNullPrototype: true },
      )
      holds(
        fc.property(subscription, damage, (given, changes) => {
          const [said, assigned] = [encodeSubscription(given), encodeAssignment(given.owned)]
          same(decodeSubscription(said), given)
          same(decodeAssignment(assigned), given.owned)
          allows(() => decodeSubscription(damaged(said, changes)), isRangeError)
          allows(() => decodeAssignment(damaged(assigned, changes)), isRangeError)
        }),
      )
    },
    withinMs,
  )

  it(
    'of the notes in Kafka’s commits',
    () => {
      const logs = fc
        .array(fc.tuple(attributeText(), fc.bigInt(1n, 2n ** 62n)), { maxLength: 5 })
        .map((all) => new Map(all))
      const offset = fc.bigInt(0n, 2n ** 61n)
      const more = fc.bigInt(1n, 2n ** 20n)
      holds(
        fc.property(logs, offset, more, fc.nat(1_000), damage, (known, at, later, deaths, changes) => {
          const suspicion = { suspectTo: at + later, guilty: at + later, deaths }
          const note = { logs: known, started: at + later, suspicion, topicId: 'a'.repeat(32), partitions: 12 }
          const text = formatNote(note, at)
          same(parseNote(text, at), note)
          expect(parseNote(damaged(Buffer.from(text), changes).toString(), at).started).toBeTypeOf('bigint')
        }),
      )
    },
    withinMs,
  )

  it(
    'of RabbitMQ’s deliveries and their dead letters',
    () => {
      const delivered = (properties: object, body: Buffer) => {
        const { contentType: mediaType, ...rest } = properties as { contentType?: string }
        return { deliveryTag: 1, exchange: 'e', routingKey: 'k', body, ...rest, mediaType } as unknown as Delivery
      }
      const names = [
        'evt-dead-topic',
        'evt-dead-message',
        'evt-dead-attempts',
        'evt-dead-ms',
        'evt-key',
        'evt-log',
        'x-death',
        'count',
      ]
      const name = fc.oneof(
        fc.constantFrom(...names, 'queue', 'time', 'MT-Fault-Message', 'toString', '__proto__'),
        anyText(),
      )
      const { value } = fc.letrec<{ value: unknown }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 3 },
          fc.oneof(
            anyText(),
            fc.double(),
            fc.boolean(),
            fc.constant(null),
            fc.uint8Array().map((bytes) => Buffer.from(bytes)),
          ),
          fc.array(tie('value'), { maxLength: 3 }),
          fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map((all) => Object.fromEntries(all)),
        ),
      }))
      const table = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((all) => Object.fromEntries(all))
      holds(
        fc.property(anyMessage, table, (message, odd) => {
          const properties = toProperties(message, 1_000)
          same(fromDelivery(delivered(properties, message.body), 't', '1'), {
            ...message,
            topic: 't',
            at: '1',
            deliveries: 1,
            timeMs: 1_000,
          })
          const spoilt = delivered({ ...properties, headers: { ...properties.headers, ...odd } }, message.body)
          textual(fromDelivery(spoilt, 't', '1'))
          textual(toBuried(spoilt, 't.dlq', 1).message)
        }),
      )
    },
    withinMs,
  )
})
