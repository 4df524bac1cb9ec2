// Producers, consumers and their frontends over noop, memory and redis: one program, chosen by configuration alone.
import {
  createEventBus,
  createPerformanceCoordinator,
  createRegistry,
  createValidationMonitor,
  type EventBus,
  type EvtEvent,
  type NewEvent,
  type PerformanceCoordinator,
  type Publishers,
  type PublishOutcome,
  publishersOf,
  type ValidationMonitor,
} from '../../index.ts'
import * as validationContracts from './contracts.ts'

/** Resolves to what became of the event: never throws, never rejects. */
export interface EventProducer {
  publish(event: NewEvent): Promise<PublishOutcome>
}

export interface EventConsumer {
  /** `validation.*`, `*.error.*`, or a type; resolves to the id for `unsubscribe`. */
  subscribe(pattern: string, handler: (event: EvtEvent) => unknown): Promise<string>
  unsubscribe(id: string): Promise<boolean>
}

/** What most programs use: each contract a function, each category a subscription, phases measured, runs followed. */
export interface EventSystem {
  readonly kind: 'noop' | 'bus'
  readonly producer: EventProducer
  readonly consumer: EventConsumer
  readonly publish: Publishers<typeof validationContracts, Promise<PublishOutcome>>
  readonly coordinator: PerformanceCoordinator
  /** Follows validations from then on. */
  watchValidations(): Promise<ValidationMonitor>
  close(): Promise<void>
}

export interface EventSystemOptions {
  /** `EVENT_BUS_TYPE` = `noop`, `memory` or `redis` (`kafka`, `rabbitmq`), `REDIS_EVENT_URL` and their like. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Default `validation`. */
  readonly topic?: string
  /** What could not be published: the application goes on. */
  readonly onError?: (error: Error) => void
}

/** Connects; with noop, publishing costs a call and nobody hears anything. Throws what a bus throws at its start: `config`, `connect`. */
export async function openEventSystem(options: EventSystemOptions): Promise<EventSystem> {
  const { env, topic = 'validation', onError = () => {} } = options
  const registry = createRegistry(validationContracts.contracts)
  const bus = createEventBus({ env, cwd: '/', topic, group: topic, registry, source: 'validation', onError })
  await bus.start()
  const kind = bus.transport === 'noop' ? 'noop' : 'bus'
  return frontends(kind, { producer: bus, consumer: consumerOf(bus), close: () => bus.stop() })
}

/** The n-th subscription of a program goes on where the n-th one stopped: several programs of one topic share the work. */
function consumerOf(bus: EventBus): EventConsumer {
  let made = 0
  return {
    subscribe: (pattern, handler) => bus.subscribe(pattern, handler, { name: `subscription-${++made}` }),
    unsubscribe: (id) => bus.unsubscribe(id),
  }
}

interface Ends extends Pick<EventSystem, 'producer' | 'consumer' | 'close'> {}

function frontends(kind: EventSystem['kind'], { producer, consumer, close }: Ends): EventSystem {
  const publish = (event: NewEvent) => producer.publish(event)
  return {
    kind,
    producer,
    consumer,
    close,
    publish: publishersOf(publish, validationContracts),
    coordinator: createPerformanceCoordinator({ publish }),
    async watchValidations() {
      const monitor = createValidationMonitor()
      for (const pattern of monitor.patterns) await consumer.subscribe(pattern, (event) => void monitor.handle(event))
      return monitor
    },
  }
}
