import type { Recorder } from '../recorder.ts'
import type { HandlerSample } from '../snapshot.ts'
import { stageNames } from '../window.ts'
import { counter, gauge, histogram, type MetricFamily, one } from './family.ts'
import { publisherFamilies } from './publisher-families.ts'

export interface BridgeFacts {
  readonly instance: string
  readonly version: string
  readonly roles: readonly string[]
}

const healths = { healthy: 0, degraded: 1, failing: 2 } as const

/** What this process counted since it was started. Decodes histograms: for a scrape, not for an event. */
export function bridgeFamilies(recorder: Recorder, facts: BridgeFacts): readonly MetricFamily[] {
  const sample = recorder.sample()
  return [
    gauge('evt_bridge_info', 'This bridge: its name, version and roles; always 1.', [
      one(1, { bridge: facts.instance, version: facts.version, roles: facts.roles.join(',') }),
    ]),
    gauge('evt_bridge_leading', '1 while this bridge is the leader.', [one(sample.leader ? 1 : 0)]),
    counter('evt_sequenced_events_total', 'Events that this bridge gave a position in the log.', [
      one(sample.sequenced),
    ]),
    histogram(
      'evt_stage_seconds',
      'Time of an event in one stage: relay (commit to log), deliver (log to lane), queue (lane to start), handle (start to commit).',
      stageNames.map((stage) => ({ labels: { stage }, encoded: sample.stages[stage] })),
    ),
    ...handlerFamilies(sample.handlers),
    ...typeFamilies(recorder),
    ...sinkFamilies(sample),
    ...sourceFamilies(sample),
    ...publisherFamilies(sample.publishers),
  ]
}

function handlerFamilies(handlers: readonly HandlerSample[]): readonly MetricFamily[] {
  const labelsOf = ({ handler, group }: HandlerSample) => ({ handler, service: group })
  const of = (value: (sample: HandlerSample) => number) =>
    handlers.map((sample) => one(value(sample), labelsOf(sample)))
  const times = (text: (sample: HandlerSample) => string) =>
    handlers.map((sample) => ({ labels: labelsOf(sample), encoded: text(sample) }))
  return [
    counter(
      'evt_handler_handled_total',
      'Events whose effect is committed.',
      of(({ handled }) => handled),
    ),
    counter(
      'evt_handler_failed_total',
      'Attempts that threw or ran out of time.',
      of(({ failed }) => failed),
    ),
    counter(
      'evt_handler_retried_total',
      'Attempts beyond an event’s first.',
      of(({ retried }) => retried),
    ),
    counter(
      'evt_handler_dead_total',
      'Events that became dead letters.',
      of(({ dead }) => dead),
    ),
    counter(
      'evt_handler_skipped_total',
      'Events that the inbox knew: not run again.',
      of(({ skipped }) => skipped),
    ),
    gauge(
      'evt_handler_in_flight',
      'Events that are being handled.',
      of(({ inFlight }) => inFlight),
    ),
    gauge(
      'evt_handler_queued',
      'Events taken from a lane and not begun.',
      of(({ queued }) => queued),
    ),
    gauge(
      'evt_handler_concurrency',
      'Events that may be handled at once.',
      of(({ concurrency }) => concurrency),
    ),
    gauge(
      'evt_handler_paused',
      '1 while the handler is paused.',
      of(({ paused }) => (paused ? 1 : 0)),
    ),
    gauge(
      'evt_handler_health',
      '0 healthy, 1 degraded, 2 failing.',
      of(({ health }) => healths[health]),
    ),
    histogram(
      'evt_handler_run_seconds',
      'Time of one attempt: the handler’s own code.',
      times(({ runTime }) => runTime),
    ),
    histogram(
      'evt_handler_end_to_end_seconds',
      'Commit of the writer to effect committed.',
      times(({ endToEnd }) => endToEnd),
    ),
  ]
}

function typeFamilies(recorder: Recorder): readonly MetricFamily[] {
  const types = recorder.types()
  const labels = types.map(({ handler, service, type }) => ({ handler, service, type }))
  const at = (nth: number) => labels[nth] ?? {}
  return [
    counter(
      'evt_handler_type_events_total',
      'What became of events by type: handled, failed (attempts) or dead; beyond 100 types of a handler, type is other.',
      types.flatMap(({ handled, failed, dead }, nth) =>
        Object.entries({ handled, failed, dead }).map(([outcome, value]) => one(value, { ...at(nth), outcome })),
      ),
    ),
    {
      name: 'evt_handler_type_run_seconds',
      help: 'Time of attempts that succeeded, by type.',
      type: 'summary',
      values: types.flatMap(({ runUs, handled }, nth) => [
        { metricName: 'evt_handler_type_run_seconds_sum', labels: at(nth), value: runUs / 1e6 },
        { metricName: 'evt_handler_type_run_seconds_count', labels: at(nth), value: handled },
      ]),
    },
  ]
}

function sinkFamilies({ sinks }: ReturnType<Recorder['sample']>): readonly MetricFamily[] {
  const of = (value: (sample: (typeof sinks)[number]) => number) =>
    sinks.map((sample) => one(value(sample), { sink: sample.sink }))
  return [
    counter(
      'evt_sink_carried_total',
      'Events that this bridge put into the sink.',
      of(({ carried }) => carried),
    ),
    counter(
      'evt_sink_dead_total',
      'Events that the sink refused for good.',
      of(({ dead }) => dead),
    ),
    counter(
      'evt_sink_looped_total',
      'Events that came from there and were not sent back.',
      of(({ looped }) => looped),
    ),
    gauge(
      'evt_sink_waiting',
      '1 while the sink waits for its broker.',
      of(({ waitsFor }) => (waitsFor ? 1 : 0)),
    ),
    histogram(
      'evt_sink_seconds',
      'Sequenced to stored by the broker of the sink.',
      sinks.map(({ sink, latency }) => ({ labels: { sink }, encoded: latency })),
    ),
  ]
}

function sourceFamilies({ sources }: ReturnType<Recorder['sample']>): readonly MetricFamily[] {
  const of = (value: (sample: (typeof sources)[number]) => number) =>
    sources.map((sample) => one(value(sample), { source: sample.source }))
  return [
    counter(
      'evt_source_taken_total',
      'Events that came from the source and were stored.',
      of(({ taken }) => taken),
    ),
    counter(
      'evt_source_dead_total',
      'Events of the source that could not be stored.',
      of(({ dead }) => dead),
    ),
    counter(
      'evt_source_looped_total',
      'Events that this store had sent there itself.',
      of(({ looped }) => looped),
    ),
    gauge(
      'evt_source_waiting',
      '1 while the source waits for its broker.',
      of(({ waitsFor }) => (waitsFor ? 1 : 0)),
    ),
  ]
}
