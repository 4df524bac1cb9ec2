import { formatCount } from '../../core/quantity.ts'
import type { Restored } from '../../store/restore.ts'
import { argumentList, defineCommand, value } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, duration, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'retention restore',
  section: 'repair',
  summary: 'bring archived events back as history, to be read and replayed, not handled anew',
  description: [
    'They stand in the log where they stood, for a time; then they go again without another archive. Groups that have passed them do',
    'not see them; a group that is new and starts at the earliest does. A damaged file brings back nothing.',
  ].join('\n'),
  examples: [
    {
      line: 'evt retention restore archive/default-2026-10-01.ndjson.zst',
      says: 'for seven days',
      exit: 2,
    },
  ],
  args: { files: argumentList({ says: 'CLASS-DAY.ndjson.zst, with its .json beside it' }) },
  options: {
    keep: value({
      value: 'time',
      says: 'how long it stays',
      parse: duration,
      default: 7 * 86_400_000,
      shownDefault: '7d',
    }),
    ...dryRunOptions,
    ...consentOptions,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { files }, options, typed }, runtime) {
    const { describeArchive, restoreArchive } = await import('../../store/restore.ts')
    const described = await Promise.all(files.map(describeArchive))
    return withStore(runtime, { command: 'retention restore', max: 2 }, async (store) => {
      const go = await askConsent(runtime, {
        verb: 'restore',
        noun: files.length === 1 ? 'archive' : 'archives',
        count: files.length,
        target: store.url,
        samples: described.map((one) => `${one.class} of ${one.day}: ${formatCount(one.events)} events`),
        options,
        typed,
      })
      if (!go) return undefined
      const keepDays = Math.max(1, Math.ceil(options.keep / 86_400_000))
      const restored: Restored[] = []
      for (const file of files) {
        const audit = await auditAs('retention restore', { target: file, reason: options.reason })
        restored.push(await restoreArchive(store, file, { keepDays, audit }))
      }
      const render = () => restored.map(lineOf).join('')
      runtime.output.result({ data: { restored, keepDays }, meta: { store: store.url }, render })
      return undefined
    })
  },
})

const lineOf = (one: Restored) =>
  `${one.class} of ${one.day}: ${one.events === 0 ? 'was there' : `${formatCount(one.events)} events are back`}\n`
