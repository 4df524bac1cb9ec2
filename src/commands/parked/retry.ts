import { formatCount } from '../../core/quantity.ts'
import { argumentList, defineCommand, flag, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { namedParked, parkedSample, repairParked } from '../line/parked.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'parked retry',
  section: 'repair',
  summary: 'try what is parked now, and not when its time comes',
  description: [
    'The bridge that owns the subject takes it within a second; while none runs, or the handler is paused, it waits. Attempts count as',
    'before. What waits for a contract that still nobody knows waits on; a dead letter that its handler blocks on is replayed.',
  ].join('\n'),
  examples: [
    {
      line: 'evt parked retry user/2 --yes',
      says: 'after a repair, without waiting for the next attempt',
      needs: 'parked',
    },
    { line: 'evt parked retry --all --handler billing.invoice --dry-run', says: 'what that would be', needs: 'parked' },
  ],
  args: { which: argumentList({ says: 'SUBJECTs, or IDs of the events, from `evt parked list`', optional: true }) },
  options: {
    all: flag({ says: 'all that is parked' }),
    handler: value({ value: 'name', says: 'only of this one', parse: text }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { which }, options, typed }, runtime) {
    return withStore(runtime, { command: 'parked retry', max: 1 }, async (store) => {
      const { retryParked } = await import('../../store/parked-repair.ts')
      const queues = await namedParked(store, { which, handler: options.handler, all: options.all })
      const samples = queues.map(parkedSample)
      const plan = {
        verb: 'retry',
        noun: queues.length === 1 ? 'parked event' : 'parked events',
        count: queues.length,
        target: store.url,
        samples,
      }
      if (!(await askConsent(runtime, { ...plan, options, typed }))) return undefined
      const target = options.all ? `all ${options.handler ?? ''}`.trim() : which.join(' ')
      const { reason } = options
      const repair = { by: operatorName(), reason, audit: await auditAs('parked retry', { target, reason }) }
      const { done, left } = await repairParked(queues, runtime, (queue) => retryParked(store, queue, repair))
      runtime.output.result({
        data: { retried: done, left },
        meta: { store: store.url },
        render: () =>
          `${formatCount(done.length)} on ${store.url} will be tried now; \`evt parked list\` shows what stays\n`,
      })
      if (runtime.signal.aborted) return 'interrupted'
      return left.length > 0 ? 'partial' : undefined
    })
  },
})
