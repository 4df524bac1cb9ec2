import { EvtError } from '../../core/errors.ts'
import { createRegistry } from '../../core/registry.ts'
import type { HandlerDefinition, HandlerLog } from '../../handle/handler.ts'
import type { HandleRecorder } from '../../handle/recorder.ts'
import { createSubscribers, type Subscribers } from '../../handle/subscribers.ts'
import type { Store } from '../../store/connection.ts'
import type { Transport } from '../../transports/transport.ts'

export interface SubscribeOptions {
  readonly store: Store
  readonly transport: Transport
  /** Default: the log. */
  readonly topics?: readonly string[]
  readonly handlers: readonly HandlerDefinition[]
  readonly instance: string
  readonly recorder: HandleRecorder
  /** An attempt of a bench handler failed, or the runtime has something to say. */
  readonly complain: (message: string) => void
}

/** The bridge's own subscriber runtime in this process, with nothing but the run's handlers. */
export async function subscribe(options: SubscribeOptions): Promise<Subscribers> {
  const { store, transport, topics, handlers, instance, recorder, complain } = options
  const subscribers = createSubscribers({
    store,
    transport,
    handlers,
    registry: createRegistry([]),
    recorder: outspoken(recorder, complain),
    instance,
    log: complaints(complain),
    publish: refuseToPublish,
    ...(topics ? { topics } : {}),
  })
  await subscribers.start()
  return subscribers
}

export const refuseToPublish = () =>
  Promise.reject(new EvtError('unsupported', 'cannot publish: handlers of the bench do not'))

/** The dashboard shows failures when it is open; whoever runs the bench sees the first ones at once. */
export function outspoken(recorder: HandleRecorder, complain: (message: string) => void): HandleRecorder {
  return {
    handler(identity) {
      const meter = recorder.handler(identity)
      return {
        ...meter,
        failed(message) {
          complain(`a handler failed: ${message}`)
          meter.failed(message)
        },
      }
    },
  }
}

export function complaints(complain: (message: string) => void): HandlerLog {
  const say = (message: string, fields?: object) =>
    complain(fields === undefined ? message : `${message} ${JSON.stringify(fields)}`)
  return { debug: () => {}, info: () => {}, warn: say, error: say }
}
