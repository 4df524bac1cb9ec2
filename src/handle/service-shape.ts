import { EvtError } from '../core/errors.ts'
import { assertKnownKeys, type KeysOf, type Refuse } from '../core/known-keys.ts'
import type { ServiceDefinition } from './define-service.ts'
import { assertHandler } from './handler-shape.ts'

const serviceKeys: KeysOf<ServiceDefinition> = {
  name: true,
  contracts: true,
  handlers: true,
  use: true,
  publishes: true,
  subscribes: true,
  sagas: true,
  alerts: true,
  projections: true,
  migrations: true,
  captures: true,
  scenarios: true,
  start: true,
}
const lists = [
  'publishes',
  'subscribes',
  'sagas',
  'alerts',
  'projections',
  'migrations',
  'captures',
  'scenarios',
] as const

/**
 * Throws EvtError('config') for what is no service, for a name that two have, and for a handler that is none: with the path in what was given,
 * `services.0.handlers.1`.
 */
export function assertServices(services: readonly ServiceDefinition[]): void {
  for (const [at, service] of services.entries()) {
    const path = `services.${at}`
    assertService(service, (reason, hint) => refused(path, reason, hint))
    const { name, handlers } = service
    if (services.findIndex((other) => other.name === name) < at)
      throw refused(path, `there are two services of the name ${name}`, 'list it once, or give one another name')
    for (const [n, handler] of handlers.entries())
      assertHandler(handler, (reason, hint) => refused(`${path}.handlers.${n}${named(handler)}`, reason, hint))
  }
}

/** Throws what `refuse` makes of what is no service, whoever wrote it without the types. */
export function assertService(given: ServiceDefinition, refuse: Refuse): void {
  if (typeof given !== 'object' || given === null) throw refuse('it is no service', 'make it with defineService')
  const { name, contracts, handlers, start } = given
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw refuse(`its name is ${JSON.stringify(name)}`, 'a name is lower-case letters, digits and hyphens')
  assertKnownKeys(given, serviceKeys, { refuse })
  if (!Array.isArray(contracts)) throw refuse('contracts is no list', 'contracts: [orderPlaced], or []')
  if (!Array.isArray(handlers)) throw refuse('handlers is no list', 'handlers: [defineHandler({ … })], or []')
  const odd = lists.find((key) => given[key] !== undefined && !Array.isArray(given[key]))
  if (odd) throw refuse(`${odd} is no list`)
  if (start !== undefined && typeof start !== 'function') throw refuse('start is no function')
}

const refused = (path: string, reason: string, hint?: string) =>
  new EvtError('config', `cannot use ${path}: ${reason}`, hint === undefined ? {} : { hint })

const named = (handler: { readonly name?: unknown } | null): string =>
  typeof handler?.name === 'string' ? ` (${handler.name})` : ''
