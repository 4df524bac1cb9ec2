import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

/** A broker in a thread of its own: when it freezes, nothing but itself stands still. */
export interface BrokerBehaviour {
  /** How long each event takes; any number at once. */
  readonly serviceMs: number
  /** Stands still for `forMs`, first `afterMs` after the first event, then every `everyMs`. */
  readonly freeze?: { readonly afterMs: number; readonly everyMs: number; readonly forMs: number }
  /** Events that it takes and forgets, keeps for ever, gives to handlers twice, refuses, does not answer. */
  readonly lost?: readonly number[]
  readonly kept?: readonly number[]
  readonly doubled?: readonly number[]
  readonly refused?: readonly number[]
  readonly unanswered?: readonly number[]
  /** Events that wait this much longer than the others. */
  readonly delayed?: { readonly ks: readonly number[]; readonly byMs: number }
}

export interface BrokerRequest {
  readonly publish: readonly number[]
}
export interface BrokerAnswer {
  readonly k: number
  readonly state: 'accepted' | 'rejected'
}
export interface BrokerDelivery {
  readonly deliver: number
}

const behaviour = workerData as BrokerBehaviour
const main = parentPort
const still = new Int32Array(new SharedArrayBuffer(4))
let isRunning = false

const isIn = (ks: readonly number[] | undefined, k: number) => ks?.includes(k) ?? false

function startFreezing(): void {
  const { freeze } = behaviour
  if (isRunning || !freeze) return
  isRunning = true
  // The thread sleeps: neither its timers nor its messages move on.
  const stop = () => Atomics.wait(still, 0, 0, freeze.forMs)
  setTimeout(() => {
    setInterval(stop, freeze.everyMs).unref()
    stop()
  }, freeze.afterMs).unref()
}

function finish(k: number, port: MessagePort, isHandled: boolean): void {
  if (isIn(behaviour.refused, k)) {
    port.postMessage({ k, state: 'rejected' } satisfies BrokerAnswer)
    return
  }
  if (!isIn(behaviour.unanswered, k)) port.postMessage({ k, state: 'accepted' } satisfies BrokerAnswer)
  if (!isHandled || isIn(behaviour.lost, k) || isIn(behaviour.kept, k)) return
  const deliver = () => main?.postMessage({ deliver: k } satisfies BrokerDelivery)
  deliver()
  if (isIn(behaviour.doubled, k)) deliver()
}

function serve(port: MessagePort, isHandled: boolean): void {
  port.on('message', ({ publish }: BrokerRequest) => {
    if (publish.some((k) => k >= 0)) startFreezing()
    for (const k of publish) {
      const late = isIn(behaviour.delayed?.ks, k) ? (behaviour.delayed?.byMs ?? 0) : 0
      setTimeout(() => finish(k, port, isHandled), behaviour.serviceMs + late)
    }
  })
}

export interface BrokerConnect {
  readonly connect: MessagePort
  /** Whether its events go to the handlers, or are only answered. */
  readonly isHandled: boolean
}
main?.on('message', ({ connect, isHandled }: BrokerConnect) => serve(connect, isHandled))
