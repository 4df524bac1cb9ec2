import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { ReaderState } from '../../store/decommission.ts'
import { argument, defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'groups remove',
  section: 'repair',
  summary: 'forget a group, a handler or a sink for good, so that retention no longer waits for it',
  description: 'Its position and its retries go; its dead letters and its inbox stay. Refused while a process runs it.',
  examples: [
    { line: 'evt groups list', says: 'which one nobody runs any more' },
    { line: 'evt groups remove nobody --dry-run', says: 'what would be lost', exit: 2 },
  ],
  args: { name: argument({ says: 'from `evt groups list`; sink:NAME where a group is called the same' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args, options, typed }, runtime) {
    return withStore(runtime, { command: 'groups remove', max: 2 }, async (store) => {
      const { findReader, removeReader } = await import('../../store/decommission.ts')
      const reader = await findReader(store, args.name)
      const { kind, name, members } = reader
      if (members.length > 0)
        throw new EvtError('refused', `cannot remove ${kind} ${name}: ${members.join(', ')} runs it`, {
          hint:
            kind === 'sink' ? 'take it out of the configuration and restart that bridge' : 'stop those processes first',
        })
      const go = await askConsent(runtime, {
        verb: 'remove',
        noun: `${kind} (${name})`,
        count: 1,
        target: store.url,
        facts: [lossOf(reader)],
        consequence: 'its position is forgotten: one that comes back by that name starts as a new one',
        options,
        typed,
      })
      if (!go) return undefined
      await removeReader(
        store,
        reader,
        await auditAs('groups remove', { target: `${kind} ${name}`, reason: options.reason, details: reader }),
      )
      runtime.output.result({
        data: { removed: reader },
        meta: { store: store.url },
        render: () => `${kind} ${name} on ${store.url} is removed: ${lossOf(reader)}`,
      })
      return undefined
    })
  },
})

function lossOf({ kind, lagEvents, retrying, parkedSubjects, openDeadLetters }: ReaderState): string {
  const behind = `${formatCount(lagEvents)} events ${kind === 'sink' ? 'not carried' : 'not passed'}`
  const waiting = `${retrying} to be tried again on ${parkedSubjects} parked subjects`
  return `${behind}, ${waiting}; ${openDeadLetters} dead letters stay`
}
