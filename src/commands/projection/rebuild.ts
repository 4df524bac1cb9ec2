import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import { suggestion } from '../../core/suggest.ts'
import type { ProjectionConfig } from '../../replay/define-projection.ts'
import { argument, defineCommand } from '../command.ts'
import { askConsent } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import { consentOptions, dryRunOptions, formatOptions, storeOptions } from '../line/options.ts'
import { loadServices } from '../line/services.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'

const { yes, reason } = consentOptions

export default defineCommand({
  name: 'projection rebuild',
  section: 'repair',
  summary: 'make the tables of a projection anew from all of history, beside the live ones',
  description: [
    'Bridges that run the projection build it, and let it take the place of the live one in one step when it has caught up. One that',
    'is being built already is given up. What retention has removed is not in it.',
  ].join('\n'),
  examples: [
    { line: 'evt projection list', says: 'how far a build is' },
    { line: 'evt projection rebuild orders_view --yes', says: 'after its code was mended', exit: 2 },
  ],
  args: { name: argument({ says: 'of a configured service' }) },
  options: { ...dryRunOptions, yes, reason, ...storeOptions, ...formatOptions },
  async run({ args, options, typed }, runtime) {
    const { name, version, options: own } = await findProjection(args.name, runtime)
    return withStore(runtime, { command: 'projection rebuild', max: 2 }, async (store) => {
      const { readGenerations, rebuildProjection } = await import('../../store/projections.ts')
      const { typesOf } = await import('../../replay/define-projection.ts')
      const { readLost } = await import('../../store/lost-history.ts')
      const known = await readGenerations(store, name)
      const lost = await readLost(store, typesOf(own))
      if (lost)
        runtime.output.warn(
          `${formatCount(lost.events)} events between positions ${lost.from} and ${lost.to} are gone by retention, and will not be in it`,
          'evt retention restore brings archives back',
        )
      const go = await askConsent(runtime, {
        verb: 'rebuild',
        noun: `projection (${name})`,
        count: 1,
        target: store.url,
        facts: known.map(
          (one) => `build ${one.generation}, version ${one.version}: ${one.status}, lag ${one.lagEvents}`,
        ),
        options,
        typed,
      })
      if (!go) return undefined
      const audit = await auditAs('projection rebuild', { target: `projection ${name}`, reason: options.reason })
      const generation = await rebuildProjection(store, { name, version, tables: own.tables }, audit)
      runtime.output.result({
        data: { projection: name, generation, version },
        meta: { store: store.url },
        render: () => `build ${generation} of projection ${name} begins with the next look of a bridge that runs it`,
      })
      return undefined
    })
  },
})

async function findProjection(name: string, runtime: Runtime): Promise<ProjectionConfig> {
  const all = (await loadServices(runtime)).flatMap(({ projections = [] }) => projections)
  const found = all.find((one) => one.name === name)
  if (found) return found as ProjectionConfig
  const known = all.map((one) => one.name)
  throw new EvtError('usage', `cannot rebuild projection ${name}: no configured service has it`, {
    hint:
      suggestion(name, known) ??
      (known.length > 0 ? `there are ${known.join(', ')}` : 'see defineProjection in docs/event-sourcing.md'),
  })
}
