import type { SeedDocument } from './document.ts'

const here = (title: string) => `test/seeds/2-event-bus.test.ts: ${title}`
const sagas = (title: string) => `test/services/accounts/sagas.test.ts: ${title}`
const accounts = 'src/services/accounts'

export const document: SeedDocument = {
  title: 'Event-Driven Architecture Guide',
  service: 'accounts',
  headings: [
    {
      heading: 'Overview',
      level: 2,
      says: 'data consistency across services, loose coupling, audit trails, event sourcing, sagas',
      where: ['README.md', 'docs/architecture.md', accounts],
      tests: [here('User Registration Flow: the five steps happen…'), here('Audit Trail: what happened to logins…')],
    },
    { heading: 'Architecture Components', level: 2, says: 'four of them', where: ['docs/architecture.md'], tests: [] },
    {
      heading: '1. Event Bus',
      level: 3,
      says: 'Redis (Pub/Sub, default), Kafka, RabbitMQ, in memory for tests',
      where: ['src/event-bus.ts', 'src/transports', 'docs/without-a-store.md'],
      tests: [
        here('carries UserRegistered to its handler…'),
        'test/event-bus.test.ts: publishes, handles in order, and knows what comes twice',
      ],
      decided: 'Over Redis, Streams deliver, at least once; what goes over Pub/Sub alone can only be at most once.',
    },
    {
      heading: '2. Domain Events',
      level: 3,
      says: 'auth (registration, login, logout, roles), user (profile, preferences, verification), system (exports, deletions, compliance)',
      where: [`${accounts}/contracts.ts`, `${accounts}/contracts`],
      tests: [
        'test/services/accounts/generated.test.ts: generated events of every type are valid, and handled without an error',
      ],
    },
    {
      heading: '3. Event Handlers',
      level: 3,
      says: 'services subscribe to the events that they are interested in',
      where: [`${accounts}/handlers`, 'docs/handling.md'],
      tests: ['test/services/accounts/service.test.ts: hears what it declares, and declares what it hears'],
    },
    {
      heading: '4. Sagas',
      level: 3,
      says: 'user registration, user deletion (GDPR), password reset',
      where: [`${accounts}/sagas`, 'docs/sagas.md'],
      tests: [
        sagas('makes a profile, preferences, a mail and a figure, and then the account is active'),
        sagas('lets every service erase, and ends with account.deleted; nothing brings the user back'),
        sagas('that is confirmed changes the password, and unlocks the account'),
        'test/services/accounts/killed.test.ts: a deletion goes on where a killed bridge was…',
      ],
    },
    { heading: 'Implementation', level: 2, says: 'four parts', where: [accounts], tests: [] },
    {
      heading: 'Setting Up Event Infrastructure',
      level: 3,
      says: 'docker-compose for Redis, for Kafka with ZooKeeper, with UI tools; create_event_bus and create_event_store; subscribe at run time',
      where: ['compose.yaml', 'docker-compose.events.yml', 'src/event-bus.ts', 'src/replay/create-event-store.ts'],
      tests: [
        'test/setup/compose.test.ts: is also found under the name that guides use, with the zookeeper that they start',
        here('subscribes a handler, publishes UserRegistered, waits, and finds that the handler was called'),
        here('Event Sourcing: state changes are appended to a subject and read back in order'),
      ],
      decided: 'Kafka runs in KRaft mode: the zookeeper service is there, and says that there is nothing to start.',
    },
    {
      heading: 'Publishing Events',
      level: 3,
      says: 'event_publisher.publish_user_registered(user, roles)',
      where: ['src/publish/publishers-of.ts'],
      tests: [
        here('carries UserRegistered to its handler…'),
        'test/publish/publishers-of.test.ts: publishes by name, with the type and the version of the contract',
      ],
      decided:
        'The publishers are made from the contracts: `publishersOf(bus.publish, contracts).userRegistered(data)`.',
    },
    {
      heading: 'Handling Events',
      level: 3,
      says: 'UserProfileCreated sets user.profile_created',
      where: [`${accounts}/handlers/status.ts`],
      tests: [sagas('makes a profile, preferences, a mail and a figure, and then the account is active')],
    },
    {
      heading: 'Implementing Sagas',
      level: 3,
      says: 'creates the profile, sets preferences, sends the welcome mail, updates analytics',
      where: [`${accounts}/sagas/registration.ts`],
      tests: [
        sagas('makes a profile, preferences, a mail and a figure, and then the account is active'),
        sagas('under a name that is taken is undone'),
        sagas('that stands still is undone when its time is over, and goes on without a mail'),
      ],
      decided:
        'The example lets the saga do the work, the flow below lets each service begin by itself: here they begin by themselves, and the saga sees to it that all is done or undone. Nobody calls `handle`: the event starts it.',
    },
    { heading: 'Event Flow Examples', level: 2, says: 'two flows', where: [accounts], tests: [] },
    {
      heading: 'User Registration Flow',
      level: 3,
      says: 'UserRegistered → UserProfileCreated → status; WelcomeEmailSent; the new user is tracked',
      where: [`${accounts}/handlers`, `${accounts}/scenarios/signup.ts`],
      tests: [
        here('User Registration Flow: the five steps happen, each caused by the registration'),
        'test/services/accounts/scenarios.test.ts: in %s, everything that is expected comes',
        sagas('under a name that is taken is undone'),
      ],
      decided:
        'The document welcomes whoever registers; here the mail goes when the profile is made, so that nobody is welcomed whose registration is refused.',
    },
    {
      heading: 'GDPR Data Export Flow',
      level: 3,
      says: 'all services collect, the export service aggregates and makes a link, a mail has it',
      where: [
        `${accounts}/sagas/data-export.ts`,
        `${accounts}/data-holder.ts`,
        'src/services/platform/handlers/user-data.ts',
        `${accounts}/scenarios/gdpr-export.ts`,
      ],
      tests: [
        here('GDPR Data Export Flow: all services contribute, a link is made, a mail is sent'),
        sagas('has what every service knows, a link, and a mail'),
        sagas('goes on at its deadline, and says who is missing'),
        'test/services/platform/handlers.test.ts: hands out what the platform knows of a user',
        'test/services/platform/handlers.test.ts: erases a user, of whom nothing comes again; that there was one still counts',
      ],
      decided:
        'The document waits for all services for ever; here the export has a deadline and a list of who is missing. Who holds data of users says so in `accounts.data_holders`: four parts of accounts, and the platform. Orders of commerce keep an id and no person; requests, icons and validation have users of their own.',
    },
    { heading: 'Configuration', level: 2, says: 'two kinds', where: ['docs/settings.md', 'src/config'], tests: [] },
    {
      heading: 'Environment Variables',
      level: 3,
      says: 'EVENT_BUS_TYPE, REDIS_EVENT_URL, REDIS_CHANNEL_PREFIX, KAFKA_BOOTSTRAP_SERVERS, KAFKA_TOPIC_PREFIX, KAFKA_CONSUMER_GROUP, ENABLE_EVENT_STORE, EVENT_STORE_TTL_DAYS=90, ENABLE_SAGAS, SAGA_TIMEOUT_SECONDS=3600',
      where: ['docs/settings.md', 'src/config/keys.ts'],
      tests: [
        here('carries UserRegistered to its handler…'),
        'test/config/variables.test.ts: carries the store to the bus with ENABLE_EVENT_STORE, under REDIS_CHANNEL_PREFIX',
        'test/config/variables.test.ts: has its topic under KAFKA_TOPIC_PREFIX',
        'test/commands/retention.test.ts: EVENT_STORE_TTL_DAYS is how long the class default is kept',
        'test/sagas/configured.test.ts: ENABLE_SAGAS keeps sagas from running and SAGA_TIMEOUT_SECONDS bounds them',
      ],
    },
    {
      heading: 'Docker Compose',
      level: 3,
      says: 'EVENT_BUS_TYPE and REDIS_EVENT_URL for each service in an override file',
      where: ['compose.yaml', 'docker-compose.events.yml'],
      tests: [
        'test/setup/compose.test.ts: has PostgreSQL without a profile, and a profile for each broker and for the tools',
      ],
    },
    { heading: 'Best Practices', level: 2, says: 'five of them', where: ['docs'], tests: [] },
    {
      heading: '1. Event Design',
      level: 3,
      says: 'immutable, complete, versioned, in the past tense',
      where: ['docs/contracts.md', `${accounts}/contracts.ts`],
      tests: [here('every type is in the past tense, dotted, and has a version')],
    },
    {
      heading: '2. Idempotency',
      level: 3,
      says: 'handlers check what was done already, and use event ids',
      where: ['src/store/inbox.ts', `${accounts}/handlers`],
      tests: [
        'test/services/accounts/handlers.test.ts: changes nothing when it hears the same again, or what is older',
        'test/event-bus.test.ts: publishes, handles in order, and knows what comes twice',
      ],
    },
    {
      heading: '3. Error Handling',
      level: 3,
      says: 'retries, dead letters, logs, compensation',
      where: ['docs/handling.md', 'docs/sagas.md'],
      tests: [
        "test/seeds/2-event-bus.test.ts: Dead Letter Queue: the guide's own SQL finds what failed, the last one first",
        'test/event-bus.test.ts: retries, buries what fails for good, and publishes from handlers',
        sagas('under a name that is taken is undone'),
      ],
    },
    {
      heading: '4. Performance',
      level: 3,
      says: 'fast handlers, batches, queue depths',
      where: ['src/handle/define-batch-handler.ts', 'docs/observability.md'],
      tests: [
        'test/config/variables.test.ts: lets a handler take EVENT_BATCH_SIZE events at once, and no more',
        'test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue',
      ],
    },
    {
      heading: '5. Testing',
      level: 3,
      says: 'InMemoryEventBus, MockHandler, wait_for_events',
      where: ['src/testing.ts', 'docs/testing.md'],
      tests: [here('subscribes a handler, publishes UserRegistered, waits, and finds that the handler was called')],
    },
    { heading: 'Monitoring', level: 2, says: 'three means', where: ['docs/observability.md'], tests: [] },
    {
      heading: 'Metrics to Track',
      level: 3,
      says: 'publishing and processing rate, handler time, queue depth, error rates',
      where: ['docs/observability.md', 'src/watch'],
      tests: ['test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue'],
    },
    {
      heading: 'Kafka UI',
      level: 3,
      says: 'http://localhost:8090 with the profile tools',
      where: ['compose.yaml'],
      tests: ['test/setup/compose.test.ts: shows Kafka on port 8090'],
    },
    {
      heading: 'Dead Letter Queue',
      level: 3,
      says: "SELECT * FROM event_store.dead_letter_queue WHERE event_name = 'user.registered' ORDER BY last_failed_at DESC",
      where: ['src/store/sql/004.do.handling.sql'],
      tests: [
        "test/seeds/2-event-bus.test.ts: Dead Letter Queue: the guide's own SQL finds what failed, the last one first",
      ],
    },
    { heading: 'Troubleshooting', level: 2, says: 'four issues', where: ['docs'], tests: [] },
    {
      heading: 'Common Issues',
      level: 3,
      says: 'events not received; duplicates (two registrations, ids); saga state, compensation, timeouts; more partitions',
      where: ['docs/handling.md', 'docs/sagas.md', 'src/commands/status.ts'],
      tests: [
        'test/bridge.test.ts: refuses two handlers of one name',
        here('Saga failures: their state is in the database'),
        sagas('that nobody confirms within an hour expires'),
      ],
    },
    { heading: 'Migration Strategy', level: 2, says: 'two parts', where: ['docs/adopting.md'], tests: [] },
    {
      heading: 'Moving from Synchronous to Event-Driven',
      level: 3,
      says: 'publish beside the calls, handle beside them, remove them, optimise',
      where: ['docs/adopting.md'],
      tests: [
        'test/store/capture.test.ts: makes created, updated and deleted events per %s',
        'test/config/variables.test.ts: runs no handlers with EVENT_PROCESSING_ENABLED=false, and stores on',
      ],
    },
    {
      heading: 'Adding New Events',
      level: 3,
      says: 'define, publish, handle, test in memory, deploy with a feature flag, monitor',
      where: ['docs/adopting.md', 'docs/contracts.md'],
      tests: ['test/privacy/access.test.ts: is refused, and published where the configuration allows it'],
      decided: 'The feature flag is the contract itself: a draft is published only where the configuration names it.',
    },
    {
      heading: 'Security Considerations',
      level: 2,
      says: 'sensitive data encrypted; who may publish and subscribe; all events logged; GDPR',
      where: ['docs/privacy.md', `${accounts}/encrypted.ts`, `${accounts}/service.ts`, `${accounts}/sagas/deletion.ts`],
      tests: [
        'test/services/accounts/killed.test.ts: a deletion goes on where a killed bridge was, and nobody can read afterwards who it was about',
        here('Access Control: the accounts service may subscribe to its own events and those that it names'),
        here('Audit Trail: what happened to logins is logged, and who was erased is not in it by name'),
        'test/privacy/access.test.ts: holds for its handlers: what they publish besides is a dead letter at once, and in the audit log',
      ],
      decided:
        "Encryption needs a key: evt's own services encrypt what they say of users where a master key is configured, and mask it everywhere.",
    },
    {
      heading: 'Future Enhancements',
      level: 2,
      says: 'event sourcing, CQRS, schema registry, change data capture, streaming',
      where: ['docs/event-sourcing.md', 'docs/contracts.md', 'src/store/capture', 'src/relay'],
      tests: [
        here('Event Sourcing: state changes are appended to a subject and read back in order'),
        here('CQRS: a read model follows the events'),
        'test/core/registry.test.ts: of one type that differ name both services, and what to do',
        'test/store/capture.test.ts: makes created, updated and deleted events per %s',
      ],
      decided: 'All five are there.',
    },
  ],
}
