import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Identities } from '../../store/identity.ts'
import type { RebasePlan } from '../../store/rebase.ts'
import { defineCommand, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, count, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions
/** At least so many positions are left out: they may have been given where this server's last events were lost. */
const margin = 1_000_000n

export default defineCommand({
  name: 'relay rebase',
  section: 'repair',
  summary: 'let the log go on after a restore or a fail-over, by comparing outbox and log',
  description: [
    'What the outbox has and the log lacks is sequenced; nothing is skipped, and nothing is sequenced twice. Positions go on behind',
    'all that anybody may have seen of what was lost. Writers wait while it runs. Refused while somebody leads.',
  ].join('\n'),
  examples: [
    { line: 'evt relay rebase --dry-run', says: 'what outbox and log have, and who stands beyond the end' },
    { line: "evt relay rebase --yes --reason 'fail-over'", says: 'go on here' },
  ],
  args: {},
  options: {
    beyond: value({
      value: 'position',
      says: 'goes on after this position; otherwise at least a million behind the end of the log',
      parse: count,
    }),
    ...dryRunOptions,
    yes,
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options, typed }, runtime) {
    const { planRebase, rebase } = await import('../../store/rebase.ts')
    const { readRelay } = await import('../../store/relay-state.ts')
    return withStore(runtime, { command: 'relay rebase', max: 2 }, async (store) => {
      const state = await readRelay(store)
      const plan = await planRebase(store)
      const beyond = options.beyond === undefined ? usualBeyond(plan) : BigInt(options.beyond)
      if (!options.dryRun && state.leader !== undefined && (state.remainingMs ?? 0) > 0)
        throw new EvtError('refused', `cannot rebase the relay: ${state.leader} leads`, {
          hint: 'stop the bridges that relay, and take them up again behind it',
        })
      const go = await askConsent(runtime, {
        verb: 'rebase',
        noun: 'relay',
        count: 1,
        target: store.url,
        facts: factsOf(plan, state, beyond),
        consequence:
          'what this server never had is not brought back: events and effects that only the former one knew are lost',
        options,
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('relay rebase', {
        target: 'relay',
        reason: options.reason,
        details: { from: state.cursor, to: state.here, head: String(plan.head), unplaced: plan.unplaced },
      })
      const upto = await rebase(store, beyond, audit)
      runtime.output.result({
        data: { head: String(plan.head), goesOnAfter: String(upto), unplaced: plan.unplaced },
        meta: { store: store.url },
        render: () =>
          `the log goes on after ${upto}; ${formatCount(plan.unplaced)} events that had no position get theirs when a bridge leads`,
      })
      return undefined
    })
  },
})

/** A round number, which people recognise. */
const usualBeyond = ({ head, ahead }: RebasePlan): bigint => {
  const farthest = ahead.reduce((most, { after }) => (after > most ? after : most), head)
  return ((farthest + 2n * margin - 1n) / margin) * margin
}

function factsOf(plan: RebasePlan, { cursor, here }: Identities, beyond: bigint): readonly string[] {
  const isSame = cursor.systemIdentifier === here.systemIdentifier && cursor.timeline === here.timeline
  const first =
    plan.first.length > 0 ? `: ${plan.first.join(', ')}${plan.unplaced > plan.first.length ? ', …' : ''}` : ''
  return [
    isSame
      ? 'the cursor was made on this cluster and timeline'
      : `the cursor was made on cluster ${cursor.systemIdentifier} timeline ${cursor.timeline}, this is ${here.systemIdentifier} timeline ${here.timeline}`,
    `the log ends at ${plan.head}, and goes on after ${beyond}`,
    `${formatCount(plan.unplaced)} events of the outbox have no position${first}`,
    `${formatCount(plan.bodiless)} positions have lost their events`,
    ...(plan.ahead.length === 0 ? ['nobody in the store stands beyond its end'] : []),
    ...plan.ahead.map(({ who, after }) => `${who} stands at ${after}, beyond its end`),
  ]
}
