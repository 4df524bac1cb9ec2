import { EvtError } from '../../core/errors.ts'
import { createRegistry } from '../../core/registry.ts'
import type { HandlerDefinition, HandlerLog } from '../../handle/handler.ts'
import type { HandleRecorder, HandlerMeter } from '../../handle/recorder.ts'
import { createSubscribers, type Subscribers } from '../../handle/subscribers.ts'
import type { Store } from '../../store/connection.ts'
import type { Transport } from '../../transports/transport.ts'

export interface SubscribeOptions {
  readonly store: Store
  readonly transport: Transport
  readonly handlers: readonly HandlerDefinition[]
  readonly run: string
  /** An attempt of a bench handler failed, or the runtime has something to say. */
  readonly complain: (message: string) => void
}

/** The bridge's own subscriber runtime in this process, with nothing but the run's handlers. */
export async function subscribe({ store, transport, handlers, run, complain }: SubscribeOptions): Promise<Subscribers> {
  const subscribers = createSubscribers({
    store,
    transport,
    handlers,
    registry: createRegistry([]),
    recorder: quietRecorder(complain),
    instance: `bench-${run}`,
    log: complaints(complain),
    publish: () => Promise.reject(new EvtError('unsupported', 'cannot publish: handlers of the bench do not')),
  })
  await subscribers.start()
  return subscribers
}

/** The run measures for itself; only failures are of interest. */
function quietRecorder(complain: (message: string) => void): HandleRecorder {
  const ignore = () => {}
  const meter: HandlerMeter = {
    taken: ignore,
    started: ignore,
    finished: ignore,
    returned: ignore,
    handled: ignore,
    failed: (message) => complain(`a handler failed: ${message}`),
    retried: ignore,
    dead: ignore,
    skipped: ignore,
    paused: ignore,
    health: ignore,
  }
  return { handler: () => meter }
}

function complaints(complain: (message: string) => void): HandlerLog {
  const say = (message: string, fields?: object) =>
    complain(fields === undefined ? message : `${message} ${JSON.stringify(fields)}`)
  return { debug: () => {}, info: () => {}, warn: say, error: say }
}
