import type { EventContract, ServiceDefinition } from '../../index.ts'
import { encrypted } from './contracts/personal.ts'
import { contracts, declare } from './contracts.ts'

const encryptedEvents = Object.values(declare(encrypted))
const twins = new Map<unknown, EventContract>(
  contracts.map((own) => [own, encryptedEvents.find(({ type }) => type === own.type) as EventContract]),
)

/**
 * A service whose events of users are encrypted with each user's key, also where it only listens to them. For bridges that have a master key;
 * all of one store do it, or none.
 */
export const withEncryption = (service: ServiceDefinition): ServiceDefinition => ({
  ...service,
  contracts: service.contracts.map((one) => twins.get(one) ?? one),
})
