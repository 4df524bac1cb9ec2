import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import { argument, defineCommand, text, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { loadServices } from '../line/services.ts'
import { withStore } from '../line/store.ts'
import { chooseHandlers } from './choose.ts'
import { patternsOfTarget } from './destination.ts'
import { patternsOf } from './look-up.ts'
import { standingOf } from './progress.ts'
import { runReplay } from './run.ts'
import { nameOf, openReplay } from './tell.ts'

export default defineCommand({
  name: 'replay resume',
  section: 'repair',
  summary: 'go on with a replay that was paused or interrupted, here',
  description:
    'What was handled is not handled again. To a target, events of the last second before a crash may come again.',
  examples: [
    { line: 'evt replay list', says: 'which ones nobody runs' },
    { line: 'evt replay resume 7f3a01 --yes', says: 'from where it was', exit: 2 },
  ],
  args: { id: argument({ says: 'from `evt replay list`' }) },
  options: {
    target: value({ short: 't', value: 'url', says: 'the same target again, with its password', parse: text }),
    ...dryRunOptions,
    ...consentOptions,
    maxAffected: { ...consentOptions.maxAffected, shownDefault: 'what was allowed when it began' },
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args, options, typed }, runtime) {
    return withStore(runtime, { command: 'replay resume', max: 6 }, async (store) => {
      const { compileSelection } = await import('../../replay/history.ts')
      const replay = await openReplay(store, args.id, 'go on with')
      const { target = replay.target } = options
      if (target !== undefined && redactUrl(target) !== replay.target)
        throw new EvtError('usage', `cannot go on with replay ${replay.id}: it goes to ${nameOf(replay)}`)
      const handlers =
        replay.kind === 'handlers' ? chooseHandlers(await loadServices(runtime), { handler: replay.handlers }) : []
      const { left } = await standingOf(store, replay)
      const go = await askConsent(runtime, {
        verb: 'replay',
        noun: `${left > 1 ? 'events' : 'event'} at most, to ${nameOf(replay)}`,
        count: Math.max(1, left),
        target: store.url,
        facts: [`positions up to ${replay.upto}`],
        // It was allowed as a whole when it began.
        options: { ...options, maxAffected: options.maxAffected ?? replay.matched },
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('replay resume', { target: `replay ${replay.id}`, reason: options.reason })
      await store.transaction((sql) => audit(sql, 1))
      const patterns = target === undefined ? patternsOf(handlers) : await patternsOfTarget(target, runtime)
      const wants = compileSelection(replay.selection, patterns)
      return runReplay(store, runtime, { replay: { ...replay, target }, wants, handlers, gone: undefined })
    })
  },
})
