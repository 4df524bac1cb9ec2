import { formatCount } from '../../core/quantity.ts'
import { argumentList, defineCommand, flag, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { namedParked, parkedSample, repairParked } from '../line/parked.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'parked skip',
  section: 'repair',
  summary: 'let a subject go on: the event that it waits for becomes a dead letter',
  description: [
    'Nothing is lost: `evt dlq list` has the event, with its reason, and `evt dlq replay` gives it to its handler again; then it comes',
    'behind those that have overtaken it. A handler that blocks on a dead letter goes on without it, and the dead letter stays.',
  ].join('\n'),
  examples: [
    { line: 'evt parked skip user/1 --dry-run', says: 'what would be given up', needs: 'parked' },
    {
      line: "evt parked skip user/1 --reason 'nobody needs it' --yes",
      says: 'and what is behind it goes on',
      needs: 'parked',
    },
    { line: 'evt dlq list --flat', says: 'where it is', needs: 'parked' },
  ],
  args: { which: argumentList({ says: 'SUBJECTs, or IDs of the events, from `evt parked list`', optional: true }) },
  options: {
    all: flag({ says: 'all that is parked: the first event of each subject' }),
    handler: value({ value: 'name', says: 'only of this one', parse: text }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { which }, options, typed }, runtime) {
    return withStore(runtime, { command: 'parked skip', max: 2 }, async (store) => {
      const { skipParked } = await import('../../store/parked-repair.ts')
      const { openLoggedMessages } = await import('../../store/logged-messages.ts')
      const { reason } = options
      const named = await namedParked(store, { which, handler: options.handler, all: options.all })
      // What is next goes on by itself: nothing holds it.
      const queues = named.filter(({ reason }) => reason !== 'turn')
      const go = await askConsent(runtime, {
        verb: 'skip',
        noun: queues.length === 1 ? 'parked event' : 'parked events',
        count: queues.length,
        target: store.url,
        samples: queues.map(parkedSample),
        consequence: 'They become dead letters, and later events of their subjects overtake them.',
        options,
        typed,
      })
      if (!go) return undefined
      const target = options.all ? `all ${options.handler ?? ''}`.trim() : which.join(' ')
      const logged = openLoggedMessages(store)
      const repair = { by: operatorName(), reason, audit: await auditAs('parked skip', { target, reason }), logged }
      const { done, left } = await repairParked(queues, runtime, (queue) => skipParked(store, queue, repair)).finally(
        () => logged.close(),
      )
      runtime.output.result({
        data: { skipped: done, left },
        meta: { store: store.url },
        render: () => `skipped ${formatCount(done.length)} on ${store.url}; \`evt dlq list\` has them\n`,
      })
      if (runtime.signal.aborted) return 'interrupted'
      return left.length > 0 ? 'partial' : undefined
    })
  },
})
