import { formatDuration } from '../../core/duration.ts'
import { compilePattern } from '../../core/pattern.ts'
import { argument, defineCommand, value } from '../command.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { consentOptions, duration, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { reason } = consentOptions
const defaultMs = 600_000

export default defineCommand({
  name: 'payloads log',
  section: 'watch',
  summary: 'let a bridge log the payloads of these events for a while, sensitive fields masked',
  description:
    'Events from now on, each once, whatever handles them. --for 0s ends it. At most 200 events each time that a bridge looks.',
  examples: [
    { line: "evt payloads log 'user.*' --for 10m --reason 'ticket 4711'", says: 'for ten minutes' },
    { line: "evt payloads log 'user.*' --for 0s", says: 'no more' },
  ],
  args: { pattern: argument({ says: "types: 'user.created', 'user.*'" }) },
  options: {
    for: value({ value: 'time', says: 'for how long', parse: duration, shownDefault: '10m' }),
    reason,
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { pattern }, options }, runtime) {
    compilePattern(pattern)
    const forMs = options.for ?? defaultMs
    return withStore(runtime, { command: 'payloads log', max: 1 }, async (store) => {
      const { logPayloads } = await import('../../store/payload-logging.ts')
      const audit = await auditAs('payloads log', { target: pattern, reason: options.reason, details: { forMs } })
      await logPayloads(store, { pattern, who: operatorName(), forMs, reason: options.reason }, audit)
      const until = new Date(runtime.now() + forMs).toISOString()
      const says = forMs === 0 ? 'are logged no more' : `are logged for ${formatDuration(forMs)}, until ${until}`
      runtime.output.result({
        data: { pattern, until },
        meta: { store: store.url },
        render: () => `payloads of ${pattern} ${says}`,
      })
      return undefined
    })
  },
})
