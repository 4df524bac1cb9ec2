import { describe, expect, test } from 'vitest'
import { encodeAs } from '../../src/core/codec/encode-as.ts'
import { decodeAny, dialectNames } from '../../src/core/codec.ts'
import { compilePatterns } from '../../src/core/pattern.ts'
import { examples } from './examples.ts'

const context = { topic: 'somewhere', time: '2026-01-02T03:04:05.678Z', id: 'from-the-position' }
const read = (name: string) => {
  const example = examples.find(({ file }) => file === `${name}.json`)
  return decodeAny(JSON.stringify(example?.event), context).event
}

describe('every example of an event in the five documents', () => {
  test.each(examples.map(({ file }) => file))('%s is read, and written back the same', (file) => {
    const example = examples.find((one) => one.file === file) ?? expect.unreachable(file)
    const { event, dialect, problem } = decodeAny(JSON.stringify(example.event), context)
    expect({ dialect, problem }).toEqual({ dialect: example.dialect, problem: undefined })
    const same = examples.find((one) => one.file === `${example.reads}.json`) ?? example
    const { body, headers } = encodeAs(example.dialect, event)
    expect(JSON.parse(Buffer.from(body).toString())).toEqual(same.event)
    expect(decodeAny(body, { ...context, headers }).event).toEqual(event)
  })

  test.each(dialectNames.filter((name) => !name.startsWith('cloudevents')))('there is one of %s', (name) => {
    expect(examples.some(({ dialect }) => dialect === name)).toBe(true)
  })

  test('the fields of a stream entry are the event that they were made from', () => {
    expect(read('registry-user-created-entry')).toEqual(read('registry-user-created'))
    expect(read('registry-user-created-entry-json')).toEqual(read('registry-user-created'))
  })
})

describe('what the five documents name is what a pattern, a handler and a trace find', () => {
  test.each([
    ['icons-user-created', { type: 'user.created', version: 1, subject: 'user/uuid', correlationId: 'uuid' }],
    ['icons-document-updated', { type: 'document.updated', subject: 'document/uuid', actor: { userId: 'uuid' } }],
    ['event-bus-user-registered', { type: 'user.registered', version: 1, subject: 'user/7' }],
    [
      'registry-user-created',
      { version: 1, source: 'users-service', subject: 'user/12345', actor: { userId: '12345' } },
    ],
    ['registry-user-created', { correlationId: 'req-789', metadata: { registration_source: 'telegram' } }],
    ['registry-user-created-v2', { type: 'user.created', version: 2 }],
    [
      'domain-events-order-created',
      { type: 'order.created', version: 2, subject: 'order/order-17', tenant: 'tenant-1' },
    ],
    ['domain-events-order-created', { actor: { userId: 'user-7', sessionId: 'session-9' } }],
    ['domain-events-user-registered', { type: 'user.registered', version: 1, subject: 'user/user-7' }],
    ['typed-events-metric-recorded', { type: 'performance.metric.recorded', correlationId: 'ctx-1' }],
    ['untyped-events-phase-start', { type: 'performance.phase.start', time: '2025-09-26T10:30:00.123456Z' }],
  ])('%s is %j', (name, expected) => {
    expect(read(name)).toMatchObject(expected)
  })

  test('one pattern finds the same happening in all of them', () => {
    const users = compilePatterns(['user.*'])
    const found = examples.filter(({ file }) => users.matches(read(file.replace('.json', '')).type))
    expect(new Set(found.map(({ dialect }) => dialect))).toEqual(
      new Set(['icons', 'event-bus', 'registry', 'domain-events']),
    )
  })
})
