import { describe, expect, test } from 'vitest'
import type { Ledger } from '../../src/bench/ledger.ts'
import { machineChange, parseSteal } from '../../src/bench/machine.ts'
import { findDoubts, type ValidityEvidence } from '../../src/bench/validity.ts'

const valid: ValidityEvidence = {
  offered: 1_000,
  sentRate: 1_000,
  sendLagP99Us: 1_500,
  e2eP99Us: 6_000,
  samples: 8_000,
  busy: 0.2,
  gcShare: 0.001,
  throttledPeriods: 0,
  stealShare: 0.03,
  ledger: { stillOpen: 0, unlocated: 0, retriedOpen: 0, unknown: 0 } as Ledger,
}

describe('validity', () => {
  test('a run that its generator carried easily leaves no doubt', () => {
    expect(findDoubts(valid)).toEqual([])
  })

  test.each<[string, Partial<ValidityEvidence>, RegExp]>([
    ['sends less than 99 % of what was asked', { sentRate: 989 }, /sent 989\/s of 1000\/s asked/],
    ['is late at p99 by more than 2 ms', { sendLagP99Us: 2_100 }, /late by 2\.1 ms at p99, more than 2\.0 ms/],
    ['is busy more than 80 % of the time', { busy: 0.81 }, /busy 81 %/],
    ['collects garbage more than 5 % of the time', { gcShare: 0.06 }, /6 % of the run collecting garbage/],
    ['is stopped by a quota', { throttledPeriods: 3 }, /CPU quota stopped it in 3 periods/],
    ['loses a tenth of the CPU to other guests', { stealShare: 0.11 }, /other guests of this host took 11 %/],
  ])('a generator that %s was the limit', (_name, change, reason) => {
    const doubts = findDoubts({ ...valid, ...change })
    expect(doubts).toMatchObject([{ kind: 'generator-bound', reason: expect.stringMatching(reason) }])
    expect(doubts[0]?.remedy).not.toBe('')
  })

  test('lateness is measured against a fifth of a slow e2e', () => {
    expect(findDoubts({ ...valid, sendLagP99Us: 19_000, e2eP99Us: 100_000 })).toEqual([])
    expect(findDoubts({ ...valid, sendLagP99Us: 21_000, e2eP99Us: 100_000 })).toHaveLength(1)
  })

  test('a spinning generator is not judged by how busy it is', () => {
    expect(findDoubts({ ...valid, busy: undefined })).toEqual([])
  })

  test.each<[string, Partial<ValidityEvidence>, string]>([
    ['no samples', { samples: 0 }, 'no-samples'],
    ['open deliveries', { ledger: { ...valid.ledger, stillOpen: 2 } }, 'unfinished'],
    ['retrying deliveries', { ledger: { ...valid.ledger, retriedOpen: 2 } }, 'unfinished'],
    ['unanswered events', { ledger: { ...valid.ledger, unknown: 2 } }, 'unfinished'],
  ])('%s are a doubt', (_name, change, kind) => {
    expect(findDoubts({ ...valid, ...change })).toMatchObject([{ kind }])
  })
})

describe('what the machine did', () => {
  test('steal is the eighth number of /proc/stat; guest time is not counted twice', () => {
    expect(parseSteal('cpu  100 0 50 800 10 0 0 40 7 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n')).toEqual({
      stolen: 40,
      all: 1_000,
    })
  })

  test('its share is taken between two readings', () => {
    const before = { throttledPeriods: 5, steal: { stolen: 40, all: 1_000 } }
    const after = { throttledPeriods: 7, steal: { stolen: 90, all: 2_000 } }
    expect(machineChange(before, after)).toEqual({ throttledPeriods: 2, stealShare: 0.05 })
  })

  test('a system that does not say took nothing', () => {
    const silent = { throttledPeriods: undefined, steal: undefined }
    expect(machineChange(silent, silent)).toEqual({ throttledPeriods: 0, stealShare: 0 })
  })
})
