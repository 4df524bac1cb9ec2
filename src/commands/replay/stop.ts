import { argument, defineCommand } from '../command.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'
import { tell } from './tell.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'replay stop',
  section: 'repair',
  summary: 'end a replay for good, wherever it runs; what it did stays',
  examples: [
    { line: 'evt replay list', says: 'which ones there are' },
    { line: 'evt replay stop 7f3a01 --yes', says: 'the command that runs it ends within seconds', exit: 2 },
  ],
  args: { id: argument({ says: 'from `evt replay list`' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args, options, typed }, runtime) {
    return withStore(runtime, { command: 'replay stop', max: 2 }, async (store) => {
      await tell(store, runtime, { id: args.id, to: 'stop', options, typed })
      return undefined
    })
  },
})
