import { EvtError } from '../core/errors.ts'
import type { Projection } from '../handle/projection.ts'
import type { ProjectionConfig } from '../replay/define-projection.ts'
import { type PartContext, reportsOf } from './part.ts'

/** The projections of the services. They read the log, whatever handlers read. */
export async function startProjections(context: PartContext): Promise<void> {
  const { options, store, registry, recorder, instance, log, graceMs } = context
  const projections = checked((options.services ?? []).flatMap((service) => service.projections ?? []))
  if (projections.length === 0) return
  const { openTransport } = await import('../transports/registry.ts')
  const { runProjections } = await import('../replay/run-projections.ts')
  const transport = await openTransport(store.connectionString, reportsOf(context, 'the projections'))
  context.keep('the log of the projections', () => transport.close())
  const running = await runProjections({ store, transport, projections, registry, recorder, instance, log, graceMs })
  context.keep('the projections', () => running.stop())
}

function checked(all: readonly Projection[]): readonly ProjectionConfig[] {
  const seen = new Set<string>()
  for (const { kind, name } of all) {
    if (kind !== 'projection')
      throw new EvtError('config', `cannot use projection ${String(name)}: defineProjection did not make it`)
    if (seen.has(name)) throw new EvtError('config', `cannot use projection ${name}: two have that name`)
    seen.add(name)
  }
  // Only `defineProjection` makes them.
  return all as readonly ProjectionConfig[]
}
