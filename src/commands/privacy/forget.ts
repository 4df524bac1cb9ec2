import { formatCount } from '../../core/quantity.ts'
import { argument, defineCommand, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'privacy forget',
  section: 'repair',
  summary: 'erase what contracts encrypt of one subject, by deleting its key',
  description: [
    'Every event that holds encrypted fields of the subject keeps its place and loses those fields: handlers, replays and readers',
    'get null there, in the store, on every broker and in every archive. Running bridges notice within ten seconds. Nobody can take',
    'it back. Needs no master key.',
  ].join('\n'),
  examples: [
    { line: 'evt privacy forget user/123 --dry-run', says: 'whether there is a key' },
    {
      line: "evt privacy forget user/123 --yes --reason 'GDPR request 77'",
      says: 'erase; the audit log says who and why',
    },
  ],
  args: { subject: argument({ says: 'whose data; as events name it: user/123' }) },
  options: {
    tenant: value({ value: 'name', says: 'only in this tenant', parse: text, shownDefault: 'all' }),
    ...dryRunOptions,
    yes,
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { subject }, options, typed }, runtime) {
    return withStore(runtime, { command: 'privacy forget', max: 1 }, async (store) => {
      const { countKeys, forgetSubject } = await import('../../store/subject-keys.ts')
      const whose = { subject, tenant: options.tenant }
      const count = await countKeys(store, whose)
      const go = await askConsent(runtime, {
        verb: 'erase',
        noun: `${count === 1 ? 'key' : 'keys'} (of ${subject})`,
        count,
        target: store.url,
        facts: [`everything that contracts encrypt of ${subject}`],
        consequence: 'nobody can read those fields again, not even from a backup of the events',
        options,
        typed,
      })
      if (!go) return undefined
      const details = options.tenant === undefined ? {} : { details: { tenant: options.tenant } }
      const audit = await auditAs('privacy forget', { target: subject, reason: options.reason, ...details })
      const { keys } = await forgetSubject(store, whose, audit)
      runtime.output.result({
        data: { subject, keys },
        meta: { store: store.url },
        render: () =>
          `${subject} is forgotten on ${store.url}: ${formatCount(keys)} ${keys === 1 ? 'key' : 'keys'} deleted`,
      })
      return undefined
    })
  },
})
