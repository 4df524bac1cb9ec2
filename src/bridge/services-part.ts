import { toError } from '../core/errors.ts'
import type { ServiceDefinition } from '../handle/define-service.ts'
import { settlesWithin } from '../store/close-within.ts'
import type { PartContext } from './part.ts'

/** What only waits for the server must not take the handlers' grace. */
const besideMs = 1_000

/** What the services do beside their handlers. */
export function startServices(context: PartContext, services: readonly ServiceDefinition[]): void {
  for (const service of services) runBeside(context, service)
}

function runBeside({ store, log, signal, keep }: PartContext, service: ServiceDefinition): void {
  const given = { transaction: store.transaction, log, signal }
  const work = (async () => service.start?.(given))().catch((error: unknown) => {
    log.error('a service stopped', { service: service.name, error: toError(error).stack })
  })
  // First of all to stop: it may still publish.
  keep(`service ${service.name}`, () => settlesWithin(work, besideMs))
}
