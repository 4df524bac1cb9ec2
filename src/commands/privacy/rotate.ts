import { formatCount } from '../../core/quantity.ts'
import { defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { requireMasterKeys } from '../line/privacy.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'privacy rotate',
  section: 'repair',
  summary: 'wrap the keys of all subjects with the current master key; no event is touched',
  description: [
    'Put the new key before the old one in EVT_MASTER_KEY (or the file), separated by a space, and restart the bridges with both;',
    'run this; then take the old one away. It may be interrupted and run again.',
  ].join('\n'),
  examples: [{ line: 'evt privacy rotate --dry-run', says: 'how many keys an older master key wraps', exit: 2 }],
  args: {},
  options: { ...dryRunOptions, ...consentOptions, ...storeOptions, ...formatOptions },
  async run({ options, typed }, runtime) {
    const masters = await requireMasterKeys(runtime)
    return withStore(runtime, { command: 'privacy rotate', max: 1 }, async (store) => {
      const { checkMasterKeys, countByMaster, rewrapKeys } = await import('../../store/subject-keys.ts')
      await checkMasterKeys(store, masters)
      const wrapped = [...(await countByMaster(store))].filter(([id]) => id !== masters.current.id)
      const count = wrapped.reduce((sum, [, of]) => sum + of, 0)
      const go = await askConsent(runtime, {
        verb: 'rewrap',
        noun: count === 1 ? 'key of a subject' : 'keys of subjects',
        count,
        target: store.url,
        facts: wrapped.map(([id, of]) => `${formatCount(of)} from master key ${id} to ${masters.current.id}`),
        options,
        typed,
      })
      if (!go) return undefined
      const details = { from: wrapped.map(([id]) => id), to: masters.current.id }
      const audit = await auditAs('privacy rotate', { target: masters.current.id, reason: options.reason, details })
      const keys = await rewrapKeys(store, masters, audit)
      runtime.output.result({
        data: { keys, masterKey: masters.current.id },
        meta: { store: store.url },
        render: () =>
          `${formatCount(keys)} ${keys === 1 ? 'key' : 'keys'} on ${store.url} ${keys === 1 ? 'is' : 'are'} wrapped with master key ${masters.current.id}`,
      })
      return undefined
    })
  },
})
