import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'

/** What a typed publisher is told beside the data: subject, id, priority, deliverAt … */
export type EventFields = Omit<NewEvent, 'type' | 'version' | 'data'>

/** The names under which there are contracts. */
type ContractName<C> = { [K in keyof C]: C[K] extends Contract<infer _> ? K : never }[keyof C]

/** One function a contract: its data is typed by the contract. */
export type Publishers<C, R> = {
  readonly [K in ContractName<C>]: C[K] extends Contract<infer T> ? (data: T, fields?: EventFields) => R : never
}

/**
 * Publishers by name, from contracts: what `publish` returns, they return. A module of contracts will do; what is no contract in it is left
 * out. Throws `config` when there is none.
 *
 *     import * as contracts from './contracts.ts'
 *     const publish = publishersOf(bus.publish, contracts)
 *     await publish.userRegistered({ email: 'a@b.c' }, { subject: 'user/7' })
 */
export function publishersOf<const C extends object, R>(
  publish: (event: NewEvent) => R,
  contracts: C,
): Publishers<C, R> {
  const made: Record<string, (data: unknown, fields?: EventFields) => R> = {}
  for (const [name, contract] of Object.entries(contracts)) {
    if (!isContract(contract)) continue
    const { type, version } = contract
    made[name] = (data, fields) => publish({ ...fields, type, version, data })
  }
  if (Object.keys(made).length === 0)
    throw new EvtError('config', 'cannot make publishers: there is no contract', {
      hint: 'give them by name: publishersOf(bus.publish, { userRegistered })',
    })
  return made as Publishers<C, R>
}

const isContract = (value: unknown): value is Contract =>
  typeof value === 'object' && value !== null && 'schema' in value && 'type' in value && 'version' in value
