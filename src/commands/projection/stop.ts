import { EvtError } from '../../core/errors.ts'
import { suggestion } from '../../core/suggest.ts'
import type { Store } from '../../store/connection.ts'
import { argument, defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'projection stop',
  section: 'repair',
  summary: 'give up the build of a projection; the live one stays',
  description: [
    'The tables of the build go. A definition of a higher version than the live one is built again by the next bridge that starts with',
    'it: deploy the one before, or mend it.',
  ].join('\n'),
  examples: [
    { line: 'evt projection list', says: 'which one is under way, and why it does not take the place of the live one' },
    { line: 'evt projection stop orders_view --yes', says: 'when it never will', exit: 2 },
  ],
  args: { name: argument({ says: 'from `evt projection list`' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args: { name }, options, typed }, runtime) {
    return withStore(runtime, { command: 'projection stop', max: 1 }, async (store) => {
      const { stopBuild } = await import('../../store/projections.ts')
      const { generation, version, position, missing } = await findBuild(store, name)
      const go = await askConsent(runtime, {
        verb: 'stop',
        noun: `build (${generation} of ${name})`,
        count: 1,
        target: store.url,
        facts: [`version ${version}, up to position ${position}, ${missing} missing`],
        consequence: 'its tables and its dead letters go',
        options,
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('projection stop', { target: `projection ${name}`, reason: options.reason })
      const stopped = await stopBuild(store, name, audit)
      runtime.output.result({
        data: { projection: name, generation: stopped ?? null },
        meta: { store: store.url },
        render: () =>
          stopped === undefined
            ? `nothing was stopped: build ${generation} of projection ${name} is over`
            : `build ${stopped} of projection ${name} is given up; the live one stays`,
      })
      return undefined
    })
  },
})

async function findBuild(store: Store, name: string) {
  const { readGenerations } = await import('../../store/projections.ts')
  const all = await readGenerations(store)
  const build = all.find((one) => one.name === name && one.status === 'building')
  if (build) return build
  const isKnown = all.some((one) => one.name === name)
  const names = [...new Set(all.map((one) => one.name))]
  throw new EvtError(
    'usage',
    `cannot stop projection ${name}: ${isKnown ? 'no build of it is under way' : `there is none of this name on ${store.url}`}`,
    { hint: (isKnown ? undefined : suggestion(name, names)) ?? 'see `evt projection list`' },
  )
}
