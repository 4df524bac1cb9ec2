import { EvtError } from '../../core/errors.ts'
import { argument, defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'capture remove',
  section: 'set up',
  summary: 'stop capturing a table; what was captured stays',
  examples: [
    { line: 'evt capture add users --mode row', says: 'first it is captured', needs: 'application-table' },
    { line: 'evt capture remove users --yes', says: 'take its triggers away', needs: 'application-table' },
  ],
  args: { table: argument({ says: 'as SQL writes it: users, shop.orders' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args: { table }, options, typed }, runtime) {
    return withStore(runtime, { command: 'capture remove', max: 1 }, async (store) => {
      const { removeCapture } = await import('../../store/capture.ts')
      const plan = { verb: 'stop capturing', noun: `table (${table})`, count: 1, target: store.url }
      if (!(await askConsent(runtime, { ...plan, options, typed }))) return undefined
      const audit = await auditAs('capture remove', { target: table, reason: options.reason })
      if (!(await removeCapture(store, table, { audit }))) {
        throw new EvtError('usage', `cannot stop capturing ${table}: it is not captured`, {
          hint: 'see `evt capture list`',
        })
      }
      runtime.output.result({
        data: { table, removed: true },
        meta: { store: store.url },
        render: () => `${table} on ${store.url} is no longer captured`,
      })
      return undefined
    })
  },
})
