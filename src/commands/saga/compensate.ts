import { argument, defineCommand, flag, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { currentSteps, findSaga, summaryOf } from '../line/sagas.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'saga compensate',
  section: 'repair',
  summary: 'undo a saga that has not ended, or skip the compensation that it is stuck in',
  description: [
    'Every step that has begun is compensated, the last first, by a bridge that runs the saga; while none runs, it waits.',
    '--skip says that the compensation that fails was done by hand: the saga goes on with the one before.',
  ].join('\n'),
  examples: [
    { line: 'evt saga compensate 1 --reason mistaken --yes', says: 'take back what it did', needs: 'saga' },
    {
      line: 'evt saga compensate 1 --skip --dry-run',
      says: 'what skipping would do, where it is stuck in one',
      needs: 'saga',
      exit: 2,
    },
  ],
  args: { which: argument({ says: 'ID or KEY, from `evt saga list`' }) },
  options: {
    saga: value({ value: 'name', says: 'of which saga the key is', parse: text }),
    skip: flag({ says: 'the compensation that it is stuck in counts as done' }),
    ...dryRunOptions,
    yes,
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { which }, options, typed }, runtime) {
    return withStore(runtime, { command: 'saga compensate', max: 1 }, async (store) => {
      const { assertRepairable, compensateSaga, skipCompensation } = await import('../../store/saga-repair.ts')
      const found = await findSaga(store, which, { saga: options.saga, runtime })
      assertRepairable(options.skip ? 'skip' : 'compensate', found)
      const { id, saga, key } = found
      const noun = options.skip ? `compensation (${currentSteps(found).join(' ') || 'onFailed'})` : 'saga'
      const verb = options.skip ? 'skip' : 'compensate'
      const plan = { verb, noun, count: 1, target: store.url, samples: [summaryOf(found)] }
      const consequence = options.skip ? 'What it would have taken back stays.' : 'It cannot go forward again.'
      if (!(await askConsent(runtime, { ...plan, consequence, options, typed }))) return undefined
      const details = options.skip ? { skipped: currentSteps(found) } : {}
      const audit = await auditAs('saga compensate', { target: id, reason: options.reason, details })
      const repair = { id, saga, key, by: operatorName(), reason: options.reason, audit }
      if (options.skip) await skipCompensation(store, repair)
      else await compensateSaga(store, repair)
      const data = { id, saga, key, skipped: options.skip ? currentSteps(found) : [] }
      runtime.output.result({ data, render: () => `${summaryOf(found)} on ${store.url} is being compensated\n` })
      return undefined
    })
  },
})
