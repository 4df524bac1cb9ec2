import { argumentList, defineCommand } from '../command.ts'
import { switchNamed } from '../line/handlers.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'handlers pause',
  section: 'repair',
  summary: 'stop handlers in all bridges; their events wait',
  description: [
    'Every bridge notices within a second and finishes what it began.',
    'They stay paused, also over restarts, until `evt handlers resume`.',
  ].join('\n'),
  examples: [
    {
      line: `evt handlers pause icons.user-preferences --reason 'the mail server moves' --yes`,
      says: 'its events wait',
      needs: 'handler',
    },
    {
      line: 'evt handlers pause icons.user-preferences --dry-run',
      says: 'what it would stop, and where',
      needs: 'handler',
    },
  ],
  args: { names: argumentList({ says: 'from `evt handlers list`' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args: { names }, options, typed }, runtime) {
    return withStore(runtime, { command: 'handlers pause', max: 2 }, async (store) => {
      await switchNamed(runtime, store, { names, paused: true, options, typed })
      return undefined
    })
  },
})
