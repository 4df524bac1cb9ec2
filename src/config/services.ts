import { EvtError } from '../core/errors.ts'
import { suggestion } from '../core/suggest.ts'
import type { Sourced } from './sourced.ts'

/** The part of a service definition that configuration looks at; the bridge knows the whole. */
export interface Service {
  readonly name: string
}

export type Services = readonly (string | Service)[]

const nameOf = (service: string | Service): string => (typeof service === 'string' ? service : service.name)

export const shownServices = (services: Services): string => services.map(nameOf).join(',')

/**
 * The services of a file that a flag or a variable names, in the order of the file; where the file has none, the names as they are.
 * Throws EvtError('config') for a name that the file does not have.
 */
export function chosenServices(asked: Sourced<Services>, configured: Sourced<Services>): Services {
  const known = configured.value.map(nameOf)
  if (known.length === 0) return asked.value
  const names = asked.value.map(nameOf)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return configured.value.filter((service) => names.includes(nameOf(service)))
  const reason = `services of ${configured.origin} has none of that name`
  throw new EvtError('config', `cannot use service ${unknown} (${asked.origin}): ${reason}`, {
    hint: suggestion(unknown, known) ?? `it has ${known.join(', ')}`,
  })
}
