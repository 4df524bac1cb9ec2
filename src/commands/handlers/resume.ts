import { argumentList, defineCommand } from '../command.ts'
import { switchNamed } from '../line/handlers.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'handlers resume',
  section: 'repair',
  summary: 'go on with paused handlers in all bridges; closes their breakers too',
  description: 'Every bridge notices within a second. What waited comes first, in its order.',
  examples: [{ line: 'evt handlers resume icons.user-preferences --yes', says: 'after a pause', needs: 'handler' }],
  args: { names: argumentList({ says: 'from `evt handlers list`' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args: { names }, options, typed }, runtime) {
    return withStore(runtime, { command: 'handlers resume', max: 2 }, async (store) => {
      await switchNamed(runtime, store, { names, paused: false, options, typed })
      return undefined
    })
  },
})
