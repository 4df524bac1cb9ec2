import { argumentList, defineCommand, flag, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { afterRetry } from '../line/saga-outcome.ts'
import { namedSagas, summaryOf } from '../line/sagas.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'saga retry',
  section: 'repair',
  summary: 'go on with stuck sagas, and at once with those that would try later',
  description: [
    'All attempts and times begin anew. A bridge that runs the saga takes it from there; while none runs, it waits.',
    'What it did stays done: it goes on with the step, or the compensation, that failed. Exit 1 when one of them is stuck again',
    'within a few seconds, exit 5 when no bridge runs that could have tried.',
  ].join('\n'),
  examples: [
    { line: 'evt saga retry 1 --yes', says: 'this one', needs: 'saga', exit: 5 },
    {
      line: 'evt saga retry --stuck --saga accounts.registration --dry-run',
      says: 'all that are stuck, after a repair',
      needs: 'saga',
    },
  ],
  args: { which: argumentList({ says: 'IDs or KEYs, from `evt saga list`', optional: true }) },
  options: {
    stuck: flag({ says: 'all that are stuck' }),
    saga: value({ value: 'name', says: 'only of this saga', parse: text }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { which }, options, typed }, runtime) {
    return withStore(runtime, { command: 'saga retry', max: 1 }, async (store) => {
      const { assertRepairable, retrySaga } = await import('../../store/saga-repair.ts')
      const sagas = await namedSagas(store, { which, saga: options.saga, stuck: options.stuck, runtime })
      for (const saga of sagas) assertRepairable('retry', saga)
      const noun = sagas.length === 1 ? 'saga' : 'sagas'
      const samples = sagas.map(summaryOf)
      const plan = { verb: 'retry', noun, count: sagas.length, target: store.url, samples }
      if (!(await askConsent(runtime, { ...plan, options, typed }))) return undefined
      const target = options.stuck ? `stuck${options.saga ? ` ${options.saga}` : ''}` : which.join(' ')
      const audit = await auditAs('saga retry', { target, reason: options.reason })
      const by = operatorName()
      for (const { id, saga, key } of sagas)
        await retrySaga(store, { id, saga, key, by, reason: options.reason, audit })
      const retried = sagas.map(({ id, saga, key }) => ({ id, saga, key }))
      const { stuckAgain, idle } = await afterRetry(store, sagas, runtime.signal)
      const again = stuckAgain.length > 0 ? ` · stuck again ${stuckAgain.length} (${stuckAgain[0]?.stuck})` : ''
      runtime.output.result({
        status: stuckAgain.length > 0 ? 'fail' : 'pass',
        data: { retried, stuckAgain },
        render: () => `retried ${retried.length} on ${store.url}${again}\n`,
      })
      if (idle.length > 0)
        runtime.output.warn(`outcome unknown: no running bridge has ${idle.join(', ')}`, 'start one with `evt up`')
      if (stuckAgain.length > 0) return 'failed'
      return idle.length > 0 ? 'partial' : undefined
    })
  },
})
