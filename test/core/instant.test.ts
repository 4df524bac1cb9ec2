import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseInstant, timeMsOf, toUtcTime } from '../../src/core/instant.ts'
import { anyText } from './texts.ts'

const nowMs = Date.parse('2025-08-23T12:00:00Z')

describe('parseInstant', () => {
  test.each([
    ['start', 'start'],
    [' now ', 'now'],
    ['position:123', { position: '123' }],
    ['position:9223372036854775807', { position: '9223372036854775807' }],
    ['position:0:123', { position: '0:123' }],
    ['position:1763726400000-0', { position: '1763726400000-0' }],
    ['15m', { timeMs: nowMs - 900_000 }],
    ['15m ago', { timeMs: nowMs - 900_000 }],
    ['2025-08-23T10:00:00Z', { timeMs: Date.parse('2025-08-23T10:00:00Z') }],
    ['2025-08-23t10:00:00.5z', { timeMs: Date.parse('2025-08-23T10:00:00.500Z') }],
    ['2025-08-23 12:00:00+02:00', { timeMs: Date.parse('2025-08-23T10:00:00Z') }],
    ['2025-08-23', { timeMs: Date.parse('2025-08-23T00:00:00Z') }],
    ['1755950400', { timeMs: 1_755_950_400_000 }],
    ['1755950400.25', { timeMs: 1_755_950_400_250 }],
    ['1755950400123', { timeMs: 1_755_950_400_123 }],
  ])('%j', (text, instant) => {
    expect(parseInstant(text, nowMs)).toEqual(instant)
  })

  test.each([
    ['2025-08-23T10:00:00', 'write 2025-08-23T10:00:00Z for UTC'],
    ['yesterday', '15m (ago)'],
    ['2025-02-30', '15m (ago)'],
    ['position:-1', '15m (ago)'],
    ['position:', '15m (ago)'],
    ['position:1 2', '15m (ago)'],
    ['', '15m (ago)'],
  ])('%j is refused: %s', (text, hint) => {
    expect(() => parseInstant(text, nowMs)).toThrow(
      expect.objectContaining({ code: 'usage', hint: expect.stringContaining(hint) as string }),
    )
  })
})

describe('an RFC 3339 time', () => {
  const anyDate = fc.date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })

  test('is read as Date reads it, with any offset', () => {
    fc.assert(
      fc.property(anyDate, fc.integer({ min: -1439, max: 1439 }), (date, offset) => {
        const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1)
        const hours = String(Math.trunc(Math.abs(offset) / 60)).padStart(2, '0')
        const minutes = String(Math.abs(offset) % 60).padStart(2, '0')
        const text = `${local}${offset < 0 ? '-' : '+'}${hours}:${minutes}`
        expect(timeMsOf(text)).toBe(date.getTime())
        expect(toUtcTime(text)).toBe(date.toISOString())
      }),
    )
  })

  test('keeps finer digits than milliseconds, and is its own normal form', () => {
    expect(toUtcTime('2025-08-23T12:00:00.1234567+02:00')).toBe('2025-08-23T10:00:00.1234567Z')
    expect(toUtcTime('2025-08-23T10:00:00.1Z')).toBe('2025-08-23T10:00:00.100Z')
    fc.assert(fc.property(anyDate, (date) => toUtcTime(date.toISOString()) === date.toISOString()))
  })

  test.each([
    '2025-02-29T00:00:00Z',
    '2025-04-31T00:00:00.000Z',
    '2025-13-01T00:00:00Z',
    '2025-00-10T00:00:00Z',
    '2025-08-23T24:00:00Z',
    '2025-08-23T10:60:00Z',
    '2025-08-23T23:59:60Z',
    '2025-08-23T10:00:00',
    '2025-08-23T10:00Z',
    '2025-08-23T10:00:00+24:00',
    '0000-01-01T00:00:00+23:00',
    '+12025-08-23T10:00:00Z',
    '2025-08-23T10:00:00Z\n',
    'Sat, 23 Aug 2025 10:00:00 GMT',
  ])('%j is none', (text) => {
    expect(toUtcTime(text)).toBeUndefined()
  })

  test('leap days exist in leap years', () => {
    expect(toUtcTime('2024-02-29T00:00:00Z')).toBe('2024-02-29T00:00:00.000Z')
    expect(toUtcTime('2000-02-29T00:00:00.000Z')).toBe('2000-02-29T00:00:00.000Z')
    expect(toUtcTime('1900-02-29T00:00:00.000Z')).toBeUndefined()
  })

  test('is decided without a throw for any text', () => {
    fc.assert(fc.property(anyText(), (text) => toUtcTime(text) === undefined || timeMsOf(text) !== undefined))
  })
})
