import type { Ledger } from './ledger.ts'

/** A reason for which the figures say nothing about the target. */
export interface Doubt {
  readonly kind: 'generator-bound' | 'unfinished' | 'no-samples'
  readonly reason: string
  /** The cheapest thing to do about it. */
  readonly remedy: string
}

export interface ValidityEvidence {
  /** Events per second asked for and sent in the measured part; undefined for `max`. */
  readonly offered: number | undefined
  readonly sentRate: number
  readonly sendLagP99Us: number | undefined
  /** Of the slowest handler. */
  readonly e2eP99Us: number | undefined
  readonly samples: number
  /** Of the generator's thread, 0..1; undefined where it spins by design. */
  readonly busy: number | undefined
  readonly gcShare: number
  readonly throttledPeriods: number
  readonly stealShare: number
  readonly ledger: Ledger
}

const leastSendLagUs = 2_000

/** Why this run proves nothing; empty for a valid one. */
export function findDoubts(evidence: ValidityEvidence): Doubt[] {
  return [...generatorDoubts(evidence), ...machineDoubts(evidence), ...outcomeDoubts(evidence)]
}

function generatorDoubts({ offered, sentRate, sendLagP99Us, e2eP99Us, busy, gcShare }: ValidityEvidence): Doubt[] {
  const doubts: Doubt[] = []
  const bound = (reason: string, remedy: string) => doubts.push({ kind: 'generator-bound', reason, remedy })
  if (offered !== undefined && sentRate < 0.99 * offered) {
    bound(`it sent ${perSecond(sentRate)} of ${perSecond(offered)} asked`, 'lower --rate, or raise --max-inflight')
  }
  const lagLimitUs = Math.max(leastSendLagUs, 0.2 * (e2eP99Us ?? 0))
  if (sendLagP99Us !== undefined && sendLagP99Us > lagLimitUs) {
    bound(
      `it was late by ${ms(sendLagP99Us)} at p99, more than ${ms(lagLimitUs)}`,
      'free a core for it, or lower --rate',
    )
  }
  if (busy !== undefined && busy > 0.8) {
    bound(`its thread was busy ${percent(busy)} of the time, more than 80 %`, 'lower --rate or --size')
  }
  if (gcShare > 0.05) bound(`it spent ${percent(gcShare)} of the run collecting garbage`, 'lower --rate or --size')
  return doubts
}

function machineDoubts({ throttledPeriods, stealShare }: ValidityEvidence): Doubt[] {
  const doubts: Doubt[] = []
  if (throttledPeriods > 0) {
    doubts.push({
      kind: 'generator-bound',
      reason: `the container's CPU quota stopped it in ${throttledPeriods} periods`,
      remedy: 'raise the quota or lower --rate',
    })
  }
  if (stealShare > 0.1) {
    doubts.push({
      kind: 'generator-bound',
      reason: `other guests of this host took ${percent(stealShare)} of the CPU`,
      remedy: 'run again on a quieter host',
    })
  }
  return doubts
}

function outcomeDoubts({ samples, ledger }: ValidityEvidence): Doubt[] {
  const doubts: Doubt[] = []
  if (samples === 0) {
    doubts.push({
      kind: 'no-samples',
      reason: 'no event of the measured part was finished',
      remedy: 'look at the accounting; a longer --duration or --drain-timeout may help',
    })
  }
  const unfinished = ledger.stillOpen + ledger.retriedOpen
  if (unfinished > 0) {
    doubts.push({
      kind: 'unfinished',
      reason: `${unfinished} deliveries were still open at the cut-off: whether they arrive was not seen`,
      remedy: 'lower --rate, or raise --drain-timeout',
    })
  }
  if (ledger.unlocated > 0) {
    doubts.push({
      kind: 'unfinished',
      reason: `the target could not be asked about ${ledger.unlocated} deliveries that were not seen to finish`,
      remedy: 'look at the target, and run again',
    })
  }
  if (ledger.unknown > 0) {
    doubts.push({
      kind: 'unfinished',
      reason: `${ledger.unknown} events got no answer from the target`,
      remedy: 'look at the connection to the target',
    })
  }
  return doubts
}

const ms = (us: number) => `${(us / 1_000).toFixed(1)} ms`
const percent = (share: number) => `${Math.round(share * 100)} %`
const perSecond = (rate: number) => `${Math.round(rate)}/s`
