import { describe, expect, test } from 'vitest'
import { parseArrival } from '../../src/core/arrival.ts'
import { EvtError } from '../../src/core/errors.ts'
import { constantRate, parseRate } from '../../src/core/rate.ts'

describe('--rate', () => {
  test.each([
    ['1000', constantRate(1_000)],
    [' 10k ', constantRate(10_000)],
    ['0.5', constantRate(0.5)],
    ['1.5m', constantRate(1_500_000)],
    ['500..5000/60s', [{ from: 500, to: 5_000, durationMs: 60_000 }]],
    ['0..1k/1m30s', [{ from: 0, to: 1_000, durationMs: 90_000 }]],
    [
      '200:30s, 2k:10s,0:5s',
      [
        { from: 200, to: 200, durationMs: 30_000 },
        { from: 2_000, to: 2_000, durationMs: 10_000 },
        { from: 0, to: 0, durationMs: 5_000 },
      ],
    ],
    ['max', 'max'],
  ])('%j is understood', (text, shape) => {
    expect(parseRate(text)).toEqual(shape)
  })

  test.each([
    ['0', /nothing would ever be sent/],
    ['-1', /a rate cannot be negative/],
    ['abc', /'abc': not a number/],
    ['', /not a number/],
    ['1e3', /not a number/],
    ['100..200', /a ramp is FROM\.\.TO\/DURATION/],
    ['0..0/5s', /nothing would ever be sent/],
    ['5..-1/5s', /a rate cannot be negative/],
    ['100:5s,', /a step is RATE:DURATION/],
    ['100:0s', /longer than 0/],
    ['0:5s', /nothing would ever be sent/],
  ])('%j is refused with its reason', (text, reason) => {
    expect(() => parseRate(text)).toThrow(reason)
  })

  test('a refusal is a usage error with examples', () => {
    try {
      parseRate('abc')
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(EvtError)
      expect(error).toMatchObject({ code: 'usage', hint: expect.stringContaining('--rate 500..5000/60s') })
    }
  })
})

describe('--arrival', () => {
  test.each([
    ['uniform', { kind: 'uniform' }],
    ['poisson', { kind: 'poisson' }],
    ['burst:50', { kind: 'burst', size: 50 }],
  ])('%j is understood', (text, arrival) => {
    expect(parseArrival(text)).toEqual(arrival)
  })

  test.each(['', 'burst', 'burst:0', 'burst:-5', 'normal'])('%j is refused', (text) => {
    expect(() => parseArrival(text)).toThrow(/uniform, poisson or burst:N/)
  })
})
