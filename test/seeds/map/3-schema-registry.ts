import type { SeedDocument } from './document.ts'

const contracts = 'src/services/requests/contracts.ts'
const service = 'src/services/requests'
const here = 'test/seeds/3-schema-registry.test.ts'
const handlers = 'test/services/requests/handlers.test.ts'
const flow = 'test/services/requests/flow.test.ts'
const types = `${here}: has the 22 types of the document`
const asPrinted = `${here}: has the example of the document in stream events:user.created and on channel events.user.created, as printed`
const commands = `${here}: answers the commands of the document: groups, consumers that share, acknowledgement, pending, claim`
const asGroup = `${here}: reads what a program of the document writes there, as one of a group with pending entries`
const refused = `${here}: refuses what does not fit its contract and what is above 1 MB, and makes a dead letter of what is illegal`
const replayed = `${here}: replays a type from a time to a time, at most so many, and says how many`
const counted = `${here}: counts what was published and handled by type and service, and how long it took`
const validates = `${here}: validates an event against the version that it says, and names the field that is wrong`
const migrates = `${here}: migrates version 1 to version 2: an optional field stays out, one is computed, one has its default`
const health = 'test/bus-health.test.ts: a bus says what is subscribed, what waits, and that a handler fails'

export const document: SeedDocument = {
  title: 'Schema registry and streams',
  service: 'requests',
  headings: [
    {
      heading: 'Overview',
      level: 2,
      says: 'schema registry, contracts, Redis Streams, Pub/Sub, replay, between services that do not know each other',
      where: [service, 'src/core/registry.ts', 'src/transports/redis'],
      tests: [`${flow}: a request is offered, refused, offered to the next, accepted, done, and its executor is told`],
    },
    {
      heading: 'Architecture',
      level: 2,
      says: 'a publisher feeds Streams and Pub/Sub, both validated by the registry, read by subscribers',
      where: ['src/relay/sink.ts', 'src/transports/redis/broadcast.ts', 'src/core/registry.ts'],
      tests: [asPrinted, asGroup],
      decided: 'Streams deliver; Pub/Sub (`?broadcast=events.`) shows every event as it passes and is at most once',
    },
    {
      heading: 'Event Types',
      level: 2,
      says: '22 types',
      where: [contracts],
      tests: [types, 'test/services/requests/generated.test.ts: generated events of every type are handled, but for …'],
    },
    {
      heading: 'User Events',
      level: 3,
      says: '`user.created`, `updated`, `verified`, `deleted`',
      where: [contracts, `${service}/handlers/users.ts`, 'src/core/rename.ts'],
      tests: [
        `${handlers}: change, are verified, and leave no name behind`,
        'test/relay/rename.test.ts: has them in its topics, headers and bodies, and a source there has its own',
      ],
      decided:
        'in one store `user.created` is the icon service’s: here they are `requests.user.*`, and `rename` of sinks and sources makes them `user.*` on Redis',
    },
    {
      heading: 'Request Events',
      level: 3,
      says: '`request.created`, `updated`, `assigned`, `completed`, `cancelled`',
      where: [contracts, `${service}/handlers/requests.ts`, `${service}/sagas/assignment.ts`],
      tests: [
        `${handlers}: is created, updated, assigned and completed, each event once`,
        `${handlers}: that nobody created cannot be assigned`,
        `${flow}: a request that is cancelled while somebody is asked takes the question back`,
      ],
    },
    {
      heading: 'Assignment Events',
      level: 3,
      says: '`assignment.created`, `accepted`, `rejected`, `completed`',
      where: [contracts, `${service}/handlers/assignments.ts`],
      tests: [
        `${handlers}: that is refused goes to who has the trade, least to do, and has not refused it`,
        `${flow}: who does not answer in time is asked no more, and the next one is`,
      ],
    },
    {
      heading: 'Shift Events',
      level: 3,
      says: '`shift.created`, `updated`, `assigned`, `transferred`',
      where: [contracts, `${service}/handlers/shifts.ts`],
      tests: [
        `${handlers}: is planned, assigned and transferred, and keeps who had it`,
        `${handlers}: is not given to who has another one then: by assigning, by moving it, by transferring it`,
      ],
    },
    {
      heading: 'Notification Events',
      level: 3,
      says: '`notification.send`, `delivered`, `failed`',
      where: [contracts, `${service}/handlers/notifications.ts`],
      tests: [
        `${flow}: a notification is tried three times on a channel that does not answer, and then has failed`,
        `${handlers}: fails at once when its user is gone`,
      ],
    },
    {
      heading: 'System Events',
      level: 3,
      says: '`system.health_check`, `system.error`',
      where: [contracts, `${service}/handlers/health.ts`, `${service}/handlers/errors.ts`],
      tests: [`${handlers}: keeps the latest health of a service, and every error once`],
    },
    {
      heading: 'Event Schema',
      level: 2,
      says: 'one base for all events',
      where: ['src/core/codec/registry.ts'],
      tests: [asPrinted],
    },
    {
      heading: 'Base Event Structure',
      level: 3,
      says: 'event_id, event_type, version, timestamp, source_service, correlation_id, user_id, metadata',
      where: ['src/core/codec/registry.ts', 'src/core/event.ts'],
      tests: [
        asPrinted,
        'test/seeds/dialects.test.ts: the fields of a stream entry are the event that they were made from',
      ],
      decided:
        'the dialect `registry` writes and reads it; `version` v1 is contract version 1; `user_id` is the actor and, where the payload has one, the payload’s',
    },
    {
      heading: 'Example Event',
      level: 3,
      says: '`user.created` v1 of users-service, with its payload beside the base fields',
      where: ['fixtures/dialects/registry-user-created.json'],
      tests: [asPrinted, asGroup],
    },
    {
      heading: 'Event Flow',
      level: 2,
      says: 'publish, subscribe, process',
      where: ['src/create-publisher.ts', 'src/event-bus.ts'],
      tests: ['test/event-bus.test.ts: publishes, handles in order, and knows what comes twice'],
    },
    {
      heading: '1. Publishing Events',
      level: 3,
      says: '`publisher.publish(USER_CREATED, {…}, correlation_id)`',
      where: ['src/create-publisher.ts', 'src/publish/publishers-of.ts'],
      tests: [asPrinted, refused],
      decided: 'publishing never throws: it resolves to `stored`, `refused` and the like, with the error',
    },
    {
      heading: '2. Subscribing to Events',
      level: 3,
      says: 'a handler for a type; start consuming',
      where: [`${service}/handlers/users.ts`, 'src/event-bus.ts'],
      tests: [asPrinted, 'test/event-bus.test.ts: publishes, handles in order, and knows what comes twice'],
    },
    {
      heading: '3. Event Processing',
      level: 3,
      says: 'XREADGROUP of stream `events:user.created`, and channel `events.user.created`',
      where: ['src/core/layout.ts', 'src/transports/redis/foreign-group.ts', 'src/transports/redis/broadcast.ts'],
      tests: [asPrinted, commands],
      decided:
        'sink layout `per-type`, `prefix: events:`; an entry has the event in its field `body`. It orders only within a type, so evt’s own handlers read layout `shards` or the log',
    },
    {
      heading: 'Schema Validation',
      level: 2,
      says: 'every event is validated',
      where: ['src/core/registry.ts'],
      tests: [validates, refused],
    },
    {
      heading: 'Registry',
      level: 3,
      says: '`registry.validate_event(type, data, version)`',
      where: ['src/core/registry.ts'],
      tests: [validates],
    },
    {
      heading: 'Versioning',
      level: 3,
      says: 'v1 and v2 of user.created: an optional field, a computed one, one with a default',
      where: [contracts, 'src/core/define-event.ts'],
      tests: [migrates, `${handlers}: of version 1 get their full name and no permissions; of version 2 what they say`],
      decided:
        'a check changes no byte of an event, so a default is what the upcast and who reads put in the place of an absent field, and a computed field is computed by the upcast',
    },
    {
      heading: 'Migration',
      level: 3,
      says: '`registry.migrate_event(v1_event, V2)`',
      where: ['src/core/registry.ts'],
      tests: [migrates],
    },
    {
      heading: 'Event Delivery',
      level: 2,
      says: 'how events get there',
      where: ['docs/delivery-guarantees.md'],
      tests: [],
    },
    {
      heading: 'Reliability Guarantees',
      level: 3,
      says: 'at least once, groups, acknowledgement, dead letters, replay',
      where: ['docs/delivery-guarantees.md', 'src/transports/redis'],
      tests: [commands, refused, replayed],
      decided: 'delivery is at least once and effects are exactly once, by the inbox in the handler’s transaction',
    },
    {
      heading: 'Consumer Groups',
      level: 3,
      says: 'a group a service; instances `users-service-consumer-1` and `-2` share the work',
      where: ['src/transports/redis/foreign.ts', 'src/config/keys.ts'],
      tests: [
        commands,
        asGroup,
        'test/config/variables.test.ts: shares its work within …',
        'test/transports/redis/foreign.test.ts: belongs to one member at a time; what it did not settle comes to the next, in order, as never started',
      ],
      decided:
        'of evt’s instances on one foreign stream one reads at a time, as `<group>-1`, so that order holds; more consumers share by lanes (layout `shards`)',
    },
    {
      heading: 'Failure Handling',
      level: 3,
      says: 'acknowledge on success; else it stays unacknowledged and comes again',
      where: ['src/handle/attempt.ts', 'src/transports/redis/foreign-lane.ts'],
      tests: [
        'test/transports/redis/foreign.test.ts: takes over what another consumer left, and leaves alone what it is still at',
        'test/event-bus.test.ts: retries, buries what fails for good, and publishes from handlers',
      ],
    },
    {
      heading: 'Event Replay',
      level: 2,
      says: 'history to handlers again',
      where: ['docs/replay.md', 'src/commands/replay.ts'],
      tests: [replayed],
    },
    {
      heading: 'Use Cases',
      level: 3,
      says: 'recovery, debugging, migration',
      where: ['docs/replay.md', 'src/replay'],
      tests: [
        replayed,
        'test/commands/replay.test.ts: a shadow run writes nothing, and two commits of a handler are compared over the same history',
      ],
    },
    {
      heading: 'Implementation',
      level: 3,
      says: '`replay_events(type, from, to, max_count)` returns the count',
      where: ['src/commands/replay.ts'],
      tests: [replayed],
      decided: '`evt replay --type T --since A --until B --limit N --handler H --json`: the count is `data.matched`',
    },
    {
      heading: 'Monitoring',
      level: 2,
      says: 'metrics and health',
      where: ['docs/observability.md'],
      tests: ['test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue'],
    },
    {
      heading: 'Event Metrics',
      level: 3,
      says: 'published per type and service, latency from publish to consume, failures, lag',
      where: ['src/watch/metrics', 'src/watch/recorder.ts'],
      tests: [
        counted,
        'test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue',
      ],
    },
    {
      heading: 'Health Checks',
      level: 3,
      says: 'publisher `{status, redis_connected}`, subscriber `{status, subscribed_events, pending_messages}`',
      where: ['src/bus-health.ts'],
      tests: [health, 'test/bus-health.test.ts: says that its server is away, and that it is back'],
      decided:
        '`bus.health()` has both, as `status`, `connected`, `subscribedEvents` and `pendingMessages`: the bus may be on another broker',
    },
    {
      heading: 'Development',
      level: 2,
      says: 'testing and debugging',
      where: ['docs/testing.md', 'src/testing.ts'],
      tests: [],
    },
    {
      heading: 'Testing Events',
      level: 3,
      says: 'subscribe a mock, publish, see that it was called',
      where: ['src/testing.ts', 'docs/testing.md'],
      tests: [
        'test/testing/testing.test.ts: tells what was published, before and after it is asked, in the version of the contract',
        'test/testing/testing.test.ts: tells of each attempt what became of it',
      ],
      decided: 'against the bus in memory instead of a mock of Redis',
    },
    {
      heading: 'Event Debugging',
      level: 3,
      says: 'log level DEBUG, XINFO STREAM, XPENDING',
      where: ['src/config/keys.ts', 'src/transports/redis'],
      tests: [commands, 'test/config/variables.test.ts: logs from EVENT_LOG_LEVEL on'],
    },
    { heading: 'Best Practices', level: 2, says: 'do and don’t', where: ['docs'], tests: [] },
    {
      heading: 'Do',
      level: 3,
      says: 'correlation ids, specific types, versions, failures handled, lag watched, flows tested end to end',
      where: [service, 'docs/handling.md'],
      tests: [`${flow}: a request is offered, refused, offered to the next, accepted, done, and its executor is told`],
    },
    {
      heading: 'Don’t',
      level: 3,
      says: 'sensitive data, more than 1 MB, schema errors ignored, circular dependencies',
      where: ['src/core/json-shape.ts', 'src/core/event.ts', 'docs/privacy.md'],
      tests: [
        refused,
        'test/handle/hop-limit.test.ts: a handler that publishes its own trigger stops after 32 hops with a dead letter that says so, also when it swallows that',
      ],
      decided:
        'names and addresses are `sensitive()`; events that cause each other without end are stopped by a hop limit',
    },
    {
      heading: 'Configuration',
      level: 2,
      says: 'variables of publisher and subscriber',
      where: ['docs/settings.md', 'src/config'],
      tests: [],
    },
    {
      heading: 'Publisher Settings',
      level: 3,
      says: 'EVENT_PUBLISHER_REDIS_URL, _MAX_BATCH_SIZE=100, _PUBLISH_TIMEOUT=5000',
      where: ['src/config/keys.ts', 'src/config/publish-keys.ts'],
      tests: [
        'test/config/variables.test.ts: goes to EVENT_PUBLISHER_REDIS_URL',
        'test/publish/settings.test.ts: EVENT_PUBLISHER_MAX_BATCH_SIZE is the size of a batch',
        'test/config/variables.test.ts: gives up after EVENT_PUBLISHER_PUBLISH_TIMEOUT milliseconds',
      ],
    },
    {
      heading: 'Subscriber Settings',
      level: 3,
      says: 'EVENT_SUBSCRIBER_CONSUMER_GROUP, _BATCH_SIZE=10, _BLOCK_TIME=1000, _MAX_RETRIES=3',
      where: ['src/config/keys.ts', 'src/config/handling-keys.ts'],
      tests: [
        'test/config/variables.test.ts: shares its work within …',
        'test/config/variables.test.ts: takes EVENT_SUBSCRIBER_BATCH_SIZE events at once, and no more',
        'test/config/variables.test.ts: looks by itself every EVENT_SUBSCRIBER_BLOCK_TIME milliseconds on Redis',
        'test/publish/settings.test.ts: EVENT_SUBSCRIBER_MAX_RETRIES is the number of attempts',
      ],
    },
    {
      heading: 'Performance',
      level: 2,
      says: 'numbers',
      where: ['bench/redis.ts', 'docs/transports.md'],
      tests: [],
    },
    {
      heading: 'Throughput',
      level: 3,
      says: 'publish ≥ 10,000/s, consume ≥ 5,000/s per consumer, < 10 ms end to end',
      where: ['bench/redis.ts', 'src/commands/bench.ts'],
      tests: [],
      decided:
        'measured, not asserted in tests: `node bench/redis.ts 3 1` (lines `publish` and `take and settle`, one lane is one consumer); `evt bench --target redis://… --rate 1000 --handler noop --gate "e2e p50 < 10ms"`',
    },
    {
      heading: 'Scaling',
      level: 3,
      says: 'more instances, bigger batches, worker threads, several Redis instances',
      where: ['src/transports/redis', 'src/core/layout.ts'],
      tests: [
        'test/event-bus.test.ts: goes on where it was after a restart, and shares the work of one name',
        'test/handle/direct/direct.test.ts: share the lanes of a group between processes, and keep the order when one dies',
      ],
      decided:
        'processes in place of threads; several Redis are a cluster, or several sinks with patterns of their own',
    },
    {
      heading: 'Troubleshooting',
      level: 2,
      says: 'what to look at',
      where: ['docs/observability.md', 'docs/transports.md'],
      tests: [],
    },
    {
      heading: 'Common Issues',
      level: 3,
      says: 'XINFO GROUPS, XPENDING, more consumers, EVENT_SUBSCRIBER_BATCH_SIZE, validation errors',
      where: ['src/transports/redis/inspect.ts', 'src/core/registry.ts'],
      tests: [
        commands,
        validates,
        'test/config/variables.test.ts: takes EVENT_SUBSCRIBER_BATCH_SIZE events at once, and no more',
      ],
    },
  ],
}
