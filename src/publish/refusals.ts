import { EvtError, toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'

/** What would not have been refused at another time, is no dead letter: the caller has it and may send it again. */
export const isItsOwn = ({ code, cause }: EvtError) =>
  !['closed', 'connect', 'timeout', 'config', 'unsupported'].includes(code) && cause !== noRoom
const noRoom = Symbol('no room')

export const notAnEvent = (thrown: unknown) =>
  new EvtError('contract', `cannot publish: ${toError(thrown).message}`, { cause: thrown })

export function full(type: string, { queued }: { readonly queued: number }): EvtError {
  return new EvtError('refused', `cannot publish ${type}: ${queued} events wait already`, {
    hint: 'wait for the outcome of what was published before, or publish with publishAll',
    cause: noRoom,
  })
}

export const cannotHold = (type: string) =>
  new EvtError('unsupported', `cannot publish ${type}: deliverAt needs a store, and there is none`, {
    hint: 'publish it when it is due, or use the stored topology: createPublisher({ store })',
  })

export const otherBytes = (type: string, id: string) =>
  new EvtError('conflict', `cannot publish ${type}: an event of the id ${id} was published, with other data`, {
    hint: 'give a new event a new id',
  })

const sequenceProblem = Symbol('sequence')
export const isOutOfSequence = ({ cause }: EvtError) => cause === sequenceProblem

interface OutOfSequence {
  readonly event: Pick<NewEvent, 'type'>
  readonly key: string | null
  readonly sequence: number
}

export function outOfSequence({ event, key, sequence }: OutOfSequence, finding: 'late' | 'missing'): EvtError {
  const why = finding === 'late' ? 'this number or a later one was published' : 'numbers before it are missing'
  return new EvtError('conflict', `cannot publish ${event.type} ${sequence} of ${key}: ${why}`, {
    hint: finding === 'late' ? 'number the events of a subject 1, 2, 3 …' : "sequence: { gaps: 'wait' } waits for them",
    cause: sequenceProblem,
  })
}
