/** What an alert's expression may look at, and in which unit. Null where it is not known: comparisons are false then. */
export const alertFacts = {
  handler: {
    name: 'handler',
    service: 'its service',
    handledPerMinute: 'events handled in the last minute',
    failedPerMinute: 'attempts that failed in the last minute',
    deadPerMinute: 'dead letters in the last minute',
    errorRate: 'failed of all attempts in the last minute, 0 to 1',
    p50Ms: 'commit to handled, of the last minute',
    p95Ms: 'the same, 95 of 100',
    p99Ms: 'the same, 99 of 100',
    latencyScore: 'how far p95Ms is above what is usual, in robust standard deviations',
    lagEvents: 'events of the log that it has still to pass',
    oldestAgeMs: 'age of the oldest of them',
    retrying: 'events that failed or wait behind one',
    parkedSubjects: 'subjects held back',
    queued: 'taken and not begun',
    inFlight: 'begun',
    paused: 'true while paused',
    broken: 'true while its circuit breaker is open',
    health: 'healthy, degraded or failing',
    stuckMs: 'for how long the store has refused to note what became of an event of it; 0 when it does not',
    crashed: 'true when a bridge that ran it ended without a word and no other has run it for 30 s since',
  },
  sink: {
    name: 'sink',
    lagEvents: 'events of the log that it has still to pass',
    waiting: 'true while its broker is away',
    deadPerMinute: 'events refused for good in the last minute',
  },
  saga: {
    name: 'saga',
    running: 'of its sagas, those that go on or wait',
    compensating: 'those that are being undone',
    stuck: 'those that wait for an operator',
  },
  bridge: {
    name: 'bridge',
    alive: 'false when it ended without a word',
    crashed: 'true when it did, until others have run for 30 s what it ran',
    silentMs: 'since its last word',
    rssBytes: 'memory',
    cpu: 'share of a core',
  },
  store: {
    outboxPending: 'committed and without a position',
    oldestPendingMs: 'age of the oldest of them; 0 when there is none',
    led: 'true while a relay leads',
    horizonAgeMs: 'age of the oldest transaction that holds the horizon',
    notifyQueue: 'how full the notification queue is, 0 to 1',
  },
  dead: { open: 'dead letters that nobody has dealt with' },
  events: {
    perMinute: 'events of the last minute, without those that evt itself publishes',
    usualPerMinute: 'the median minute of the hour before the last event, also without them',
    refusedPerMinute:
      'events of the last minute whose id was there with other data, or was too long; they are kept in evt.refused',
  },
} as const

export type FactRoot = keyof typeof alertFacts
/** An expression with one of these is tested for each of them. */
export const eachOf = ['handler', 'sink', 'saga', 'bridge'] as const
export type EachOf = (typeof eachOf)[number]
