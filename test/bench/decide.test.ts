import { describe, expect, test } from 'vitest'
import { decide, type Findings } from '../../src/bench/decide.ts'
import type { GateResult, GateVerdict } from '../../src/bench/judge-gates.ts'
import type { Ledger } from '../../src/bench/ledger.ts'

const gate = (verdict: GateVerdict): GateResult => ({
  gate: 'e2e p99 < 5ms',
  verdict,
  value: 1,
  atLeast: false,
  limit: 5_000,
  samples: 9,
})
const doubt = { kind: 'generator-bound', reason: 'it was late', remedy: 'wait' } as const
const sound: Findings = {
  isInterrupted: false,
  gone: undefined,
  problems: [],
  ledger: { lost: 0, duplicates: 0, reordered: 0, sent: 10 } as Ledger,
  gates: [],
  doubts: [],
  offered: 1_000,
  throughput: 1_000,
  series: [],
}
const lost = { ...sound.ledger, lost: 1 }

describe('the outcome', () => {
  test.each<[string, Partial<Findings>, string]>([
    ['nothing found', {}, 'done'],
    ['all gates proven', { gates: [gate('pass')] }, 'done'],
    ['a failed gate', { gates: [gate('pass'), gate('fail')] }, 'gate'],
    ['an open gate', { gates: [gate('pass'), gate('inconclusive')] }, 'inconclusive'],
    ['a failed gate beside an open one', { gates: [gate('inconclusive'), gate('fail')] }, 'gate'],
    ['a doubt, with no gate', { doubts: [doubt] }, 'inconclusive'],
    ['a loss, with no gate', { ledger: lost }, 'broken'],
    ['a loss beside a failed gate and a doubt', { ledger: lost, gates: [gate('fail')], doubts: [doubt] }, 'broken'],
    ['an interruption', { isInterrupted: true, gates: [gate('inconclusive')] }, 'interrupted'],
    ['a loss in an interrupted run', { isInterrupted: true, ledger: lost }, 'broken'],
    ['a target that went away beside an interruption', { gone: 'no answer', isInterrupted: true }, 'gone'],
    ['books that do not balance', { problems: ['1 ≠ 2'], ledger: lost }, 'defect'],
  ])('of %s is decided by the worst', (_name, change, outcome) => {
    expect(decide({ ...sound, ...change }).outcome).toBe(outcome)
  })

  test('says so when less was handled than was asked', () => {
    expect(decide(sound).verdict).toBe('1000/s handled, nothing lost, doubled or reordered')
    expect(decide({ ...sound, throughput: 687 }).verdict).toMatch(
      /^687\/s handled of 1000\/s asked: it did not keep up/,
    )
  })
})
