import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../../src/transports/rabbitmq/driver.ts'
import { parseInequivalence } from '../../../src/transports/rabbitmq/errors.ts'
import { toBuried } from '../../../src/transports/rabbitmq/grave.ts'
import { createSeen } from '../../../src/transports/rabbitmq/seen.ts'
import { isAtLeast } from '../../../src/transports/rabbitmq/server-version.ts'
import { routingKeyOf } from '../../../src/transports/rabbitmq/topics.ts'
import { fromDelivery, toProperties, visibleText } from '../../../src/transports/rabbitmq/wire.ts'

const body = Buffer.from('{}')

/** What the other side gets of it. */
function delivered(properties: object): Delivery {
  const { contentType, ...rest } = properties as { contentType?: string }
  const base = { consumerTag: '', deliveryTag: 1, exchange: 'e', redelivered: false, routingKey: 'k', body }
  return { ...base, ...rest, ...(contentType !== undefined && { mediaType: contentType }) } as unknown as Delivery
}

describe('a message on the wire', () => {
  it('is as it was: id, key, headers, position in the log', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((value) => value.isWellFormed())
    const key = fc.option(text, { nil: null })
    fc.assert(
      fc.property(
        text.filter((id) => id !== ''),
        key,
        text,
        (id, key, value) => {
          const encodedValue = value.replace(/[^!#$&-~]/gu, encodeURIComponent)
          const headers = {
            'ce-id': 'x',
            'ce-subject': encodedValue,
            'x-odd': value,
            'content-type': 'application/json',
          }
          const message = { id, key, headers, body, log: 7n, logId: 'store/sink' }
          const read = fromDelivery(delivered(toProperties(message, 1_000)), 't', '1')
          expect(read).toEqual({ ...message, topic: 't', at: '1', deliveries: 1, timeMs: 1_000 })
        },
      ),
    )
  })

  it('has attributes as the AMQP binding of CloudEvents has them: texts, not percent-encoded', () => {
    const headers = { 'ce-type': 'user.created', 'ce-subject': 'gr%C3%BC%C3%9Fe' }
    const properties = toProperties({ id: '1', key: null, headers, body }, 0)
    expect(properties.headers).toMatchObject({ 'cloudEvents:type': 'user.created', 'cloudEvents:subject': 'grüße' })
  })

  it('reads the other spelling of attributes, and takes the subject of a foreign event for its key', () => {
    const read = fromDelivery(delivered({ headers: { cloudEvents_id: 'a', cloudEvents_subject: 'ü' } }), 't', '1')
    expect(read).toMatchObject({ id: 'a', key: 'ü', headers: { 'ce-subject': '%C3%BC' } })
  })

  it('makes values of any type visible', () => {
    const headers = {
      n: 1.5,
      no: null,
      yes: true,
      bytes: Buffer.from([0x61, 0xff, 0x00]),
      table: { a: [1, Buffer.from([0xfe])] },
    }
    const read = fromDelivery(delivered({ headers, type: 'T', correlationId: 'c' }), 't', '9')
    expect(read.headers).toMatchObject({
      n: '1.5',
      no: '',
      yes: 'true',
      bytes: 'a\\xff\\x00',
      table: '{"a":[1,"\\\\xfe"]}',
    })
    expect(read.headers).toMatchObject({ 'amqp-type': 'T', 'amqp-correlation-id': 'c', 'amqp-routing-key': 'k' })
    expect([read.id, read.key]).toEqual(['t@9', null])
    expect(visibleText(10n)).toBe('10')
  })

  it('sends no copies that a header asks for', () => {
    const properties = toProperties({ id: '1', key: null, headers: { CC: 'elsewhere', BCC: 'x' }, body }, 0)
    expect(Object.keys(properties.headers ?? {})).toEqual(['timestamp_in_ms'])
  })

  it('routes by lane and type within 255 bytes', () => {
    expect([routingKeyOf(3, 'user.created'), routingKeyOf(0, '')]).toEqual(['3.user.created', '0'])
    const long = routingKeyOf(12, 'ü'.repeat(200))
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255)
    expect(long).toMatch(/^12\.ü+$/)
  })
})

describe('a dead letter', () => {
  const odd = Object.fromEntries([['toString', 'x']])

  it.each([
    [{ 'x-death': [null] }],
    [{ 'x-death': [{ queue: 'q', count: odd, time: odd }] }],
    [{ 'evt-dead-topic': 't', 'evt-dead-message': 'm', 'evt-dead-attempts': odd, 'evt-dead-ms': null }],
    [{ 'MT-Fault-Message': 'm', 'MT-Fault-RetryCount': odd, 'MT-Fault-Timestamp': odd }],
  ])('is listed whatever somebody wrote of its death: %j', (headers) => {
    const buried = toBuried(delivered({ headers, messageId: 'm1' }), 'q.dlq', 1)
    expect(buried).toMatchObject({ id: 'm1', message: { id: 'm1' } })
    expect([buried.attempts, buried.deadMs]).toEqual([undefined, undefined])
  })
})

describe('what came before', () => {
  it('is known by position; one that was left out is new, though a later one came', () => {
    const seen = createSeen(3)
    const of = (logId: string) => [1, 2, 4, 2, 3, 3].map((log) => seen.add({ logId, log }))
    const news = [true, true, true, false, true, false]
    expect([of('a'), of('b')]).toEqual([news, news])
  })
})

describe('what the server says', () => {
  it.each([
    [
      "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '3' of type 'long'",
      { argument: 'x-max-length', received: undefined, current: '3' },
    ],
    [
      "inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received '5' but current is '1000'",
      { received: '5', current: '1000' },
    ],
    [
      "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received the value '1' of type 'signedint' but current is none",
      { received: '1', current: undefined },
    ],
    [
      "inequivalent arg 'type' for exchange 'e' in vhost '/': received 'direct' but current is 'topic'",
      { argument: 'type', current: 'topic' },
    ],
  ])('%s', (text, expected) => expect(parseInequivalence(text)).toMatchObject(expected))

  it.each([
    ['4.3.0', true],
    ['4.2.9', false],
    ['5.0', true],
    ['3.10.8', false],
    ['', false],
  ])('version %s', (version, expected) => {
    expect(isAtLeast(version, 4, 3)).toBe(expected)
  })
})
