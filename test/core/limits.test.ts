import { expect, it } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import { fitting, maxFieldBytes } from '../../src/core/limits.ts'
import { eventOf } from '../handle/running.ts'

it.each([
  ['subject', { subject: 'é'.repeat(600) }],
  ['source', { source: 'é'.repeat(600) }],
  ['tenant', { tenant: 'é'.repeat(600) }],
  ['correlationId', { correlationId: 'é'.repeat(600) }],
  ['causationId', { causationId: 'é'.repeat(600) }],
  ['actor.userId', { actor: { userId: 'é'.repeat(600) } }],
  ['actor.sessionId', { actor: { sessionId: 'é'.repeat(600) } }],
])('a %s that is too long is refused by its name, with its length and the limit', (field, given) => {
  expect(() => encodeEvent(eventOf({ type: 'a.b', ...given }))).toThrow(
    `cannot encode a.b: ${field} has 1,200 bytes, the limit is 1,024`,
  )
})

it('a field that is just as long as it may be is taken', () => {
  const subject = `${'é'.repeat(maxFieldBytes / 2 - 1)}xy`
  expect(encodeEvent(eventOf({ type: 'a.b', id: '😀'.repeat(127), subject }))).toMatchObject({ subject })
})

it('a name for an index is the text itself where it fits, and another for each text where it does not', () => {
  const long = `${'😀'.repeat(300)}`
  expect(fitting('user/1')).toBe('user/1')
  expect(fitting('é'.repeat(512))).toBe('é'.repeat(512))
  expect(fitting(`${long}a`)).not.toBe(fitting(`${long}b`))
  expect(Buffer.byteLength(fitting(`x${long}`))).toBeLessThan(600)
  expect(fitting(`x${long}`).isWellFormed()).toBe(true)
})
