import type { SeedDocument } from './document.ts'

const system = 'test/services/validation/event-system.test.ts'
const seed = 'test/seeds/5-typed-events.test.ts'
const over = `${system}: publishes by contract, subscribes by pattern, measures phases and follows runs`
const never = `${system}: never throws, whatever is published, and tells it to a listener`

export const document: SeedDocument = {
  title: 'Typed event system',
  service: 'validation',
  headings: [
    {
      heading: 'Overview',
      level: 2,
      says: 'A typed, distributed event system as the backbone of monitoring, observability and communication between services.',
      where: ['src/services/validation'],
      tests: [
        'test/services/validation/bridge.test.ts: a bridge validates what is submitted, in the order of each record, traced and audited, and raises its alerts',
      ],
    },
    {
      heading: 'Core Architecture',
      level: 2,
      says: 'Events, producers and consumers, each with an interface, a frontend and several implementations.',
      where: ['src/services/validation/event-system.ts', 'src/event-bus.ts'],
      tests: [over],
    },
    {
      heading: 'Event System Hierarchy',
      level: 3,
      says: 'Interfaces (event, performance event, validation event, producer, publisher frontend, consumer, consumer frontend) and noop, in-memory and Redis implementations.',
      where: ['src/services/validation/contracts.ts', 'src/services/validation/event-system.ts', 'src/transports'],
      tests: [over, `${system}: takes everything, tells nobody, and the program is the same`],
      decided:
        'A class for each pair of interface and medium is one bus and a URL here: the frontends are the same over all of them.',
    },
    {
      heading: 'Key Design Principles',
      level: 2,
      says: 'Typed, by protocols, pluggable.',
      where: ['src/core/define-event.ts'],
      tests: [],
    },
    {
      heading: '1. Fully Typed Events (NO Dict[str, Any])',
      level: 3,
      says: 'No event is an untyped dictionary: PerformanceEvent with context, field path, operation, duration, resource usage, phase, status.',
      where: ['src/services/validation/contracts.ts'],
      tests: [
        `${seed}: have no field of any kind: what a contract does not know as it is typed is refused`,
        `${seed}: as the document has them fit version 1, and are what the coordinator says in version 2: %s`,
        'test/services/validation/handlers.test.ts: takes measurements as the design has them: version 1',
      ],
      decided:
        'Version 1 of the performance contracts is the class as printed; version 2 has the names of the library’s coordinator.',
    },
    {
      heading: '2. Protocol-Based Interfaces',
      level: 3,
      says: 'IEvent: id, dotted type, time, to_json and from_json.',
      where: ['src/core/event.ts', 'src/core/codec.ts'],
      tests: [`${seed}: are written as JSON and read back as they were`],
    },
    {
      heading: '3. Pluggable Implementations',
      level: 3,
      says: 'NoOp: no overhead. InMemory: local and tests. Redis: production.',
      where: [
        'src/services/validation/event-system.ts',
        'src/transports/noop',
        'src/transports/memory',
        'src/transports/redis',
      ],
      tests: [
        over,
        `${system}: costs at most 50 ns a publish`,
        'test/event-bus.test.ts: publishes, handles in order, and knows what comes twice',
      ],
    },
    {
      heading: 'Event Types and Patterns',
      level: 2,
      says: 'Dotted names in four categories.',
      where: ['src/core/pattern.ts'],
      tests: [],
    },
    {
      heading: 'Event Type Naming Convention',
      level: 3,
      says: 'validation.started, validation.phase.completed, validation.error.occurred, performance.metric.recorded, performance.phase.start, performance.operation.complete.',
      where: ['src/services/validation/contracts.ts'],
      tests: [`${seed}: of every name in the document have a contract`],
    },
    {
      heading: 'Event Categories',
      level: 3,
      says: 'Life cycle (*.started, *.completed, *.failed), performance, validation, system.',
      where: ['src/core/pattern.ts'],
      tests: [`${seed}: of the four categories find their events`],
    },
    {
      heading: 'Producer/Consumer Pattern',
      level: 2,
      says: 'Who publishes and who subscribes.',
      where: ['src/services/validation/event-system.ts'],
      tests: [],
    },
    {
      heading: 'Event Producers',
      level: 3,
      says: 'publish(event) of a typed event.',
      where: ['src/services/validation/event-system.ts', 'src/publish/publishers-of.ts'],
      tests: [over, 'test/publish/publishers-of.test.ts: is typed by the contracts'],
    },
    {
      heading: 'Event Consumers',
      level: 3,
      says: 'subscribe(pattern, handler) gives a subscription id.',
      where: ['src/services/validation/event-system.ts', 'src/handle/subscribing.ts'],
      tests: [`${system}: hears nothing more after it has unsubscribed`],
    },
    {
      heading: 'Pattern Matching',
      level: 3,
      says: 'validation.* is all validation events, *.error.* all error events, or one type.',
      where: ['src/core/pattern.ts'],
      tests: [over, 'test/core/pattern.test.ts: agrees with the slow and obvious matcher'],
      decided:
        'A star at either end is one or more segments, in the middle exactly one: only so do both examples hold.',
    },
    {
      heading: 'Integration with Monitoring',
      level: 2,
      says: 'Monitoring by events.',
      where: ['src/watch/phases'],
      tests: [],
    },
    {
      heading: 'Event-Driven Performance Coordinator',
      level: 3,
      says: 'Publishes each phase as performance events.',
      where: ['src/watch/phases/performance-coordinator.ts', 'src/services/validation/run-phases.ts'],
      tests: [
        'test/watch/phases.test.ts: a performance coordinator tells phases and operations as events, and gives what the work gives',
        'test/services/validation/handlers.test.ts: passes all phases, each told before and after, and is kept',
      ],
    },
    {
      heading: 'Validation Monitoring Service',
      level: 3,
      says: 'Subscribes to validation.* and validation.phase.*.',
      where: ['src/watch/phases/validation-monitor.ts', 'src/services/validation/handlers/monitoring.ts'],
      tests: [
        'test/watch/phases.test.ts: a validation monitor on a bus knows runs, phases and the fields that fail',
        'test/services/validation/handlers.test.ts: twice is once, and an older one changes nothing',
      ],
      decided: 'One subscription to validation.* has the phases too; the second pattern would count them twice.',
    },
    {
      heading: 'Distributed Event Processing',
      level: 2,
      says: 'Over Redis, as JSON.',
      where: ['src/transports/redis'],
      tests: [],
    },
    {
      heading: 'Redis-Based Distribution',
      level: 3,
      says: 'Pub/Sub, channels by topic, fail-over and reconnection.',
      where: ['src/transports/redis'],
      tests: [
        'test/transports/redis/pubsub.test.ts: shows what is published on its channels and patterns, whatever bytes it is, in order',
        'test/transports/redis/pubsub.test.ts: subscribes again after its connection was cut, and tells that something may be missing',
        'test/create-publisher.test.ts: a broker that comes back gets everything, in order',
      ],
      decided:
        'Streams deliver, because Pub/Sub loses what is published while a subscriber is away; who only listens to Pub/Sub gets each event at most once.',
    },
    {
      heading: 'Event Serialization',
      level: 3,
      says: 'to_json and from_json of every event.',
      where: ['src/core/codec.ts', 'src/core/codec/typed-events.ts'],
      tests: [
        `${seed}: are written as JSON and read back as they were`,
        'test/seeds/dialects.test.ts: %s is read, and written back the same',
      ],
    },
    {
      heading: 'Future Integration Points',
      level: 2,
      says: 'Tracing, metrics, alerting, audit: all four are there.',
      where: ['src/watch'],
      tests: [],
    },
    {
      heading: '1. Distributed Tracing',
      level: 3,
      says: 'Events carry trace context; OpenTelemetry.',
      where: ['src/watch/tracing'],
      tests: [
        'test/watch/tracing.test.ts: follow an event from who publishes it to what its handler publishes, and the handler runs within its own',
        'test/services/validation/bridge.test.ts: a bridge validates what is submitted, in the order of each record, traced and audited, and raises its alerts',
      ],
    },
    {
      heading: '2. Metrics Aggregation',
      level: 3,
      says: 'Performance events feed Prometheus and InfluxDB; aggregated as they come.',
      where: ['src/watch/metrics', 'src/services/validation/handlers/metrics.ts'],
      tests: [
        'test/services/validation/handlers.test.ts: is performance by the minute and phase, and the fields that fail most',
        'test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue',
        'test/watch/metrics.test.ts: are lines for InfluxDB where the client asks for them',
      ],
    },
    {
      heading: '3. Alerting',
      level: 3,
      says: 'Patterns of events trigger alert rules; complex event processing.',
      where: ['src/watch/alerts', 'src/services/validation/alerts.ts'],
      tests: [
        'test/services/validation/bridge.test.ts: a bridge validates what is submitted, in the order of each record, traced and audited, and raises its alerts',
        'test/watch/event-patterns.test.ts: looks into events with an expression',
        'test/watch/event-patterns.test.ts: counts as one who looks at all of the events, in whatever order they were committed',
        'test/watch/facts.test.ts: scores latency against what is usual, and only with enough events',
      ],
    },
    {
      heading: '4. Audit Trail',
      level: 3,
      says: 'Every event is kept for compliance; replay for debugging.',
      where: ['src/services/validation/schema.ts', 'src/store/sql', 'src/replay'],
      tests: [
        'test/services/validation/bridge.test.ts: a bridge validates what is submitted, in the order of each record, traced and audited, and raises its alerts',
        'test/store/sequencer.test.ts: refuses to change or remove what was written',
        'test/commands/replay.test.ts: a replay counts first, asks, runs the handler, and tells what came of it',
      ],
    },
    {
      heading: 'Best Practices',
      level: 2,
      says: 'What the library does by itself.',
      where: ['docs/publishing.md', 'docs/contracts.md'],
      tests: [],
    },
    {
      heading: '1. Event Design',
      level: 3,
      says: 'Immutable events, enough context, semantic versions.',
      where: ['src/core/event.ts', 'src/core/define-event.ts'],
      tests: [
        `${seed}: cannot be changed where somebody else handles them`,
        'test/core/define-event.test.ts: gives the latest version and each single one',
      ],
      decided:
        'The version of a contract is its major number; each later one says how data of the earlier one becomes its own.',
    },
    {
      heading: '2. Performance',
      level: 3,
      says: 'NoOp on critical paths, batches, backpressure.',
      where: ['src/services/validation/event-system.ts', 'src/publish'],
      tests: [
        `${system}: costs at most 50 ns a publish`,
        'test/publish/pipeline.test.ts: a batch waits to become fuller, and a flush does not',
        'test/publish/transport-publisher.test.ts: pulls a source no faster than the broker confirms',
        'test/publish/transport-publisher.test.ts: is bounded: what would pass the bound is refused, and the rest is not lost',
      ],
    },
    {
      heading: '3. Error Handling',
      level: 3,
      says: 'Publishing never throws and never breaks the application; retries with exponential backoff.',
      where: ['src/services/validation/event-system.ts', 'src/publish'],
      tests: [
        never,
        'test/watch/phases.test.ts: a publisher that fails breaks no work',
        'test/publish/transport-publisher.test.ts: sends again what a server that is away has refused',
        'test/core/backoff.test.ts: the bound doubles with each attempt up to the longest delay, or stays when fixed',
      ],
      decided:
        'publish resolves to an outcome and tells onError; inside a transaction it throws, because the transaction must know.',
    },
    {
      heading: '4. Testing',
      level: 3,
      says: 'In-memory implementations, serialisation, pattern matching.',
      where: ['src/testing.ts', 'docs/testing.md'],
      tests: [
        'test/testing/testing.test.ts: shares nothing with another one, and ends with its scope',
        `${seed}: are written as JSON and read back as they were`,
        `${seed}: of the four categories find their events`,
      ],
    },
    {
      heading: 'Migration Guide',
      level: 2,
      says: 'How untyped events become typed ones.',
      where: ['docs/contracts.md'],
      tests: [],
    },
    {
      heading: 'From Dict-Based Events to Typed Events',
      level: 3,
      says: 'A dictionary before, a PerformanceEvent after.',
      where: ['src/core/codec/typed-events.ts', 'src/services/validation/contracts.ts'],
      tests: [
        'test/seeds/dialects.test.ts: %s is read, and written back the same',
        `${seed}: as the document has them fit version 1, and are what the coordinator says in version 2: %s`,
      ],
      decided: 'The dictionary is read as it is, by a dialect; its contract is inferred from traffic.',
    },
    {
      heading: 'Conclusion',
      level: 2,
      says: 'From local development to distributed production by configuration.',
      where: ['src/services/validation/event-system.ts'],
      tests: [over],
    },
  ],
}
