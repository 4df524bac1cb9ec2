import type { SeedDocument } from './document.ts'

const seed = 'test/seeds/1-icon-service.test.ts'
const handlers = 'test/services/icons/handlers.test.ts'
const analytics = 'test/services/icons/analytics.test.ts'
const follows =
  'test/services/icons/bridge.test.ts: follows the application, and has dead letters of several causes from what was poisoned'
const captured = 'test/store/capture.test.ts: makes created, updated and deleted events per %s'
const alerts = 'test/watch/alerts.test.ts'
const variables = 'test/config/variables.test.ts'
const balance =
  'test/bench/bridge/bridge.test.ts: accounts for every event, measures every hop and leaves nothing but its events'
const verify =
  'test/commands/verify-handlers.test.ts: each handler gets a good and a corrupt event of each of its types, and nothing of it stays'
const profile =
  'test/commands/profile.test.ts: a handler’s bridges are profiled while they run, one file each for the DevTools; who ended is told'

export const document: SeedDocument = {
  title: 'Icon service events',
  service: 'icons',
  headings: [
    {
      heading: 'Overview',
      level: 2,
      says: 'Events over PostgreSQL between the icon service and others.',
      where: ['src/services/icons'],
      tests: [follows],
    },
    {
      heading: 'Objectives',
      level: 2,
      says: 'Handlers for the life of users, communication between services, live analytics, synchronised data, monitoring and debugging.',
      where: ['src/services/icons'],
      tests: [
        `${seed}: are events of the types that the document names, with the log of them for debugging`,
        `${seed}: has done what each event asks for`,
      ],
    },
    {
      heading: 'Architecture Components',
      level: 2,
      says: 'A main backend, the event system (triggers, queue, dead letters), the icon service.',
      where: ['src/store', 'src/relay', 'src/handle', 'src/services/icons/traffic.ts'],
      tests: [follows],
    },
    { heading: 'Implementation Requirements', level: 2, says: 'Five areas.', where: ['src/services/icons'], tests: [] },
    {
      heading: '1. Event Infrastructure',
      level: 3,
      says: 'Triggers, NOTIFY and LISTEN, one payload, routing and filtering, dead letters.',
      where: ['src/store/sql', 'src/store/capture', 'src/handle'],
      tests: [
        captured,
        `${seed}: are told on the three channels, standardised as JSON`,
        'test/handle/attempts.test.ts: that keeps failing leaves one dead letter with every attempt, and its subject goes on',
      ],
      decided:
        'NOTIFY wakes and tells plain channels; what is delivered is read from tables, because a notification is lost when nobody listens.',
    },
    {
      heading: '2. Event Types',
      level: 3,
      says: 'user created, updated, deleted, suspended; document created, updated, published, deleted; login, logout, session changes; maintenance, configuration.',
      where: ['src/services/icons/contracts.ts', 'src/services/icons/captures.ts'],
      tests: [
        `${seed}: are events of the types that the document names, with the log of them for debugging`,
        'test/services/icons/service.test.ts: hears everything that it declares, and declares everything that it hears or captures',
        'test/services/accounts/announce.test.ts: logins are told on auth_events, to whoever listens in SQL and to evt tail, without what is personal',
      ],
      decided:
        'suspended and published come from rules of the capture: is_active to false, is_public to true. The accounts service owns the auth events, and tells them on auth_events.',
    },
    {
      heading: '3. Icon Service Event Handlers',
      level: 3,
      says: 'Preferences of new users, clean-up after deleted ones, usage by documents, permissions.',
      where: ['src/services/icons/handlers'],
      tests: [
        `${handlers}: is copied, gets preferences by plan, and permissions by role`,
        `${handlers}: that is deleted leaves no preferences, sessions or usage, and the caches hear of it`,
        `${handlers}: that is deleted leaves nothing also where one handler is far behind the others`,
        `${handlers}: that is suspended may nothing any more`,
      ],
    },
    {
      heading: '4. Real-time Analytics',
      level: 3,
      says: 'Live usage over sessions, popularity, cache optimisation, patterns of behaviour.',
      where: ['src/services/icons/analytics.ts', 'src/services/icons/schema.ts'],
      tests: [
        `${analytics}: show live usage across the sessions that are open`,
        `${analytics}: rank icons by use, what is recent before what is long ago`,
        `${analytics}: tell how each user works`,
        `${analytics}: say which icons to keep hot, which to fetch and which to let go`,
      ],
    },
    {
      heading: '5. Data Synchronization',
      level: 3,
      says: 'Users replicated, permissions, configuration, cache invalidation.',
      where: ['src/services/icons/handlers'],
      tests: [
        `${handlers}: is copied, and the caches about it become invalid once a change`,
        `${handlers}: is not set back by an older event, nor brought back after its end`,
        follows,
      ],
    },
    { heading: 'Implementation Files', level: 2, says: 'Eight files.', where: ['src/services/icons'], tests: [] },
    {
      heading: 'File 1: `migrations/003_event_system.sql`',
      level: 3,
      says: 'Trigger functions, channels, standard payload, event log table, made for high volume.',
      where: ['src/store/sql', 'src/store/capture', 'src/services/icons/captures.ts', 'src/services/icons/schema.ts'],
      tests: [
        captured,
        `${seed}: are told on the three channels, standardised as JSON`,
        `${seed}: are events of the types that the document names, with the log of them for debugging`,
        'test/store/capture-tables.test.ts: tells a plain channel too when asked, and refers to what NOTIFY cannot carry',
      ],
      decided:
        'Writers pay for a row in the outbox, and for NOTIFY only while nobody is awake: NOTIFY in every commit limits PostgreSQL to a third of its commits.',
    },
    {
      heading: 'File 2: `icon-service/app/services/EventService.py`',
      level: 3,
      says: 'LISTEN, subscriptions, registration and routing, retries, metrics.',
      where: ['src/bridge.ts', 'src/handle', 'src/store/listener.ts'],
      tests: [
        'test/bridge.test.ts: carries what was committed to handlers, what they publish to others, and is seen while it runs',
        'test/store/listener.test.ts: listens again after its session was ended',
        'test/handle/attempts.test.ts: that fails is retried, and its effect and the others’ in its chunk happen once',
      ],
    },
    {
      heading: 'File 3: `icon-service/app/events/UserEventHandler.py`',
      level: 3,
      says: 'Users: preferences, usage data, permissions, caches.',
      where: [
        'src/services/icons/handlers/user-directory.ts',
        'src/services/icons/handlers/preferences.ts',
        'src/services/icons/handlers/permissions.ts',
        'src/services/icons/handlers/clean-up.ts',
      ],
      tests: [
        `${handlers}: is copied, gets preferences by plan, and permissions by role`,
        `${handlers}: that is deleted leaves no preferences, sessions or usage, and the caches hear of it`,
      ],
    },
    {
      heading: 'File 4: `icon-service/app/events/DocumentEventHandler.py`',
      level: 3,
      says: 'Icons out of the content, usage, popular icons, recommendations for a document.',
      where: [
        'src/services/icons/handlers/usage.ts',
        'src/services/icons/handlers/recommendations.ts',
        'src/services/icons/markup.ts',
      ],
      tests: [
        `${handlers}: has its icons counted from its content, and counted anew when it changes`,
        `${handlers}: adds to what is popular and to what its owner uses`,
        `${handlers}: that is published is recommended what stands beside its icons elsewhere`,
      ],
    },
    {
      heading: 'File 5: `icon-service/app/events/SystemEventHandler.py`',
      level: 3,
      says: 'Configuration, maintenance mode, cache invalidation, health, performance.',
      where: [
        'src/services/icons/handlers/configuration.ts',
        'src/services/icons/handlers/maintenance.ts',
        'src/services/icons/handlers/cache.ts',
        'src/services/icons/handlers/health.ts',
      ],
      tests: [
        `${handlers}: turns a changed row into configuration, applies it and invalidates what depends on it`,
        `${handlers}: goes into maintenance and out of it; the later time wins`,
        `${handlers}: keeps the latest health of a service, and each performance sample once`,
      ],
    },
    {
      heading: 'File 6: `icon-service/app/models/EventModels.py`',
      level: 3,
      says: 'Typed payloads: base, user, document, system, and the result of processing.',
      where: ['src/services/icons/contracts.ts', 'src/core/event.ts', 'src/handle/results.ts'],
      tests: [
        `${seed}: have the payload that the document shows`,
        'test/handle/results.test.ts: tells what became of each try, when that is committed; what was handled before is skipped',
        `${seed}: has done what each event asks for`,
      ],
    },
    {
      heading: 'File 7: `icon-service/app/services/AnalyticsService.py`',
      level: 3,
      says: 'Aggregation, popular icons, behaviour, trends, recommendations for caches.',
      where: ['src/services/icons/analytics.ts'],
      tests: [
        `${analytics}: add up by the hour`,
        `${analytics}: rank icons by use, what is recent before what is long ago`,
        `${analytics}: find what rises and what falls`,
        `${analytics}: tell how each user works`,
        `${analytics}: say which icons to keep hot, which to fetch and which to let go`,
      ],
    },
    {
      heading: 'File 8: `scripts/test-events.py`',
      level: 3,
      says: 'Generates events, verifies handlers, measures, tests over services, debugs.',
      where: [
        'src/commands/gen.ts',
        'src/commands/handlers/verify.ts',
        'src/commands/bench.ts',
        'src/commands/tail.ts',
      ],
      tests: [
        'test/generators/generator.test.ts: fits its contract, for every type of the icon service',
        verify,
        balance,
        'test/commands/live.test.ts: tail --stages names the handlers and what is known of each',
      ],
    },
    {
      heading: 'Success Criteria',
      level: 2,
      says: 'Changes make events, they are handled as they come, failures are retried, all of it is seen, performance does not suffer.',
      where: ['src/services/icons', 'bench/capture-cost.ts'],
      tests: [
        follows,
        `${seed}: handles a storm with at least 99.9 % success and less than 50 MB more memory`,
        'test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue',
      ],
    },
    {
      heading: 'Event Types and Payloads',
      level: 2,
      says: 'One shape: event_type, ids, the data of the thing, timestamp, correlation_id.',
      where: ['src/core/codec/icons.ts'],
      tests: ['test/seeds/dialects.test.ts: %s is read, and written back the same'],
    },
    {
      heading: 'User Events',
      level: 3,
      says: 'user_data with email, is_active, created_at.',
      where: ['src/services/icons/contracts.ts'],
      tests: [`${seed}: have the payload that the document shows`],
    },
    {
      heading: 'Document Events',
      level: 3,
      says: 'document_data with title, is_public, updated_at; changes.',
      where: ['src/services/icons/contracts.ts'],
      tests: [`${seed}: have the payload that the document shows`],
      decided: 'changes has the names of columns: is_public where the example says visibility.',
    },
    {
      heading: 'System Events',
      level: 3,
      says: 'system_data with maintenance_enabled, estimated_duration, affected_services.',
      where: ['src/services/icons/contracts.ts'],
      tests: [`${seed}: have the payload that the document shows`],
    },
    {
      heading: 'Performance Requirements',
      level: 2,
      says: 'Below 100 ms an event, 1,000 events/s and more, less than 50 MB more memory, 99.9 % success, 30 days kept.',
      where: ['bench/handling.ts', 'src/commands/bench.ts', 'docs/retention.md'],
      tests: [
        balance,
        `${seed}: handles a storm with at least 99.9 % success and less than 50 MB more memory`,
        `${seed}: are kept for 30 days`,
      ],
      decided:
        'Times are measured, not tested, because a loaded machine breaks them: `node bench/handling.ts 4 steady` (1,000/s, commit to handled: p50 3 to 6 ms, p99 22 to 58 ms on a machine that was busy with other work) and `node bench/handling.ts 4 grouped` (20,501/s handled, each with its effect in the database).',
    },
    {
      heading: 'Event Monitoring',
      level: 2,
      says: 'Metrics, alerts, debugging.',
      where: ['docs/observability.md', 'src/watch'],
      tests: [],
    },
    {
      heading: 'Metrics',
      level: 3,
      says: 'Processed per second, latency, failures and reasons, handlers by type, rate of generation.',
      where: ['src/watch/metrics', 'src/watch/analytics'],
      tests: [
        'test/watch/metrics.test.ts: are served as Prometheus reads them, by handler, type, stage and queue',
        'test/watch/metrics.test.ts: keep the number of types of one handler bounded',
        `${seed}: knows how many events the database makes, by table and by writer`,
      ],
    },
    {
      heading: 'Alerting',
      level: 3,
      says: 'Five: failures above a threshold, latency spikes, missing events, generation that fails, handlers that crash.',
      where: ['src/core/alerts/defaults.ts', 'src/watch/alerts'],
      tests: [
        `${alerts}: fire and end, each once, as events and in the log, whoever looks`,
        'test/watch/facts.test.ts: scores latency against what is usual, and only with enough events',
        `${alerts}: miss an event that does not come in its time`,
        `${alerts}: say that generation has stopped until it goes on, whatever evt itself publishes meanwhile`,
        `${alerts}: say that a handler crashed until it is taken away`,
        `${alerts}: a bridge raises its built-in alerts by itself`,
      ],
    },
    {
      heading: 'Debugging',
      level: 3,
      says: 'Five: payload logging, traces, profiles, stack traces, replay.',
      where: [
        'src/commands/payloads/log.ts',
        'src/watch/tracing',
        'src/commands/handlers/profile.ts',
        'src/commands/dlq/show.ts',
        'src/commands/replay.ts',
      ],
      tests: [
        'test/watch/payloads.test.ts: payloads of chosen types are logged from when an operator says so, masked, each once, until it is over',
        'test/watch/tracing.test.ts: follow an event from who publishes it to what its handler publishes, and the handler runs within its own',
        profile,
        'test/handle/attempts.test.ts: that keeps failing leaves one dead letter with every attempt, and its subject goes on',
        'test/commands/replay.test.ts: a replay counts first, asks, runs the handler, and tells what came of it',
      ],
    },
    {
      heading: 'Testing Strategy',
      level: 2,
      says: 'Unit, integration and performance tests.',
      where: ['test/services/icons'],
      tests: [],
    },
    {
      heading: 'Unit Tests',
      level: 3,
      says: 'Handlers, models, errors, load.',
      where: ['test/services/icons'],
      tests: [
        `${handlers}: is copied, gets preferences by plan, and permissions by role`,
        'test/services/icons/generated.test.ts: of every type are handled without an error',
        'test/services/icons/generated.test.ts: %s, poisoned, makes %s fail and no other handler',
      ],
    },
    {
      heading: 'Integration Tests',
      level: 3,
      says: 'End to end, over services, triggers, order and delivery.',
      where: ['test/services/icons/bridge.test.ts', 'test/store/capture.test.ts'],
      tests: [
        follows,
        captured,
        'test/handle/log.test.ts: keep the order of subjects and the effect once, while two processes fail, retry, come and go',
      ],
    },
    {
      heading: 'Performance Tests',
      level: 3,
      says: 'High volume, concurrency, memory in storms, cost for the database.',
      where: ['bench/handling.ts', 'bench/capture-cost.ts', 'bench/soak.ts'],
      tests: [`${seed}: handles a storm with at least 99.9 % success and less than 50 MB more memory`, balance],
    },
    {
      heading: 'Migration to Phase 5',
      level: 2,
      says: 'A batch API, caching by use, reports.',
      where: ['src/serve', 'src/services/icons/analytics.ts', 'src/watch/analytics'],
      tests: [
        'test/serve/publish.test.ts: reads CloudEvents: structured, as a batch and binary',
        `${analytics}: say which icons to keep hot, which to fetch and which to let go`,
        'test/watch/analytics.test.ts: count types, sources, subjects and what users do, once, whoever counts',
      ],
    },
    {
      heading: 'Troubleshooting',
      level: 2,
      says: 'Triggers and permissions, delays, missing LISTEN, errors, load.',
      where: [
        'src/commands/capture/list.ts',
        'src/commands/handlers/list.ts',
        'src/store/listener.ts',
        'docs/observability.md',
      ],
      tests: [
        'test/store/capture.test.ts: is listed as stale, disabled or missing, and repaired by adding it again',
        'test/store/listener.test.ts: finds by its heartbeat that its session has stopped listening without an error',
        'test/commands/handlers.test.ts: a handler that no bridge runs any more keeps its place: the list says that nobody does, and resuming closes a breaker',
      ],
    },
    {
      heading: 'Dependencies',
      level: 2,
      says: 'PostgreSQL with NOTIFY and LISTEN, a pool, structured logs, metrics, JSON validation.',
      where: ['package.json', 'src/store/connection.ts', 'src/core/registry.ts'],
      tests: [],
      decided: 'Python and asyncpg are TypeScript and pg here; all else is as it says.',
    },
    {
      heading: 'Configuration Variables',
      level: 2,
      says: 'EVENT_PROCESSING_ENABLED, EVENT_RETRY_ATTEMPTS, EVENT_BATCH_SIZE, EVENT_TIMEOUT, EVENT_LOG_LEVEL, EVENT_MONITORING_INTERVAL.',
      where: ['src/config', 'docs/settings.md'],
      tests: [
        `${variables}: runs no handlers with EVENT_PROCESSING_ENABLED=false, and stores on`,
        `${variables}: tries a failing event EVENT_RETRY_ATTEMPTS times`,
        `${variables}: lets a handler take EVENT_BATCH_SIZE events at once, and no more`,
        `${variables}: gives an attempt EVENT_TIMEOUT seconds`,
        `${variables}: logs from EVENT_LOG_LEVEL on`,
        `${variables}: looks at traffic every EVENT_MONITORING_INTERVAL`,
      ],
    },
  ],
}
