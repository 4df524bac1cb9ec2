import { createHistogram, type Histogram } from '../core/histogram.ts'
import type { HandledTimes, HandleRecorder, HandlerIdentity, HandlerMeter, Unwritable } from '../handle/recorder.ts'
import type { SinkMeter, SourceMeter } from '../relay/relay-recorder.ts'
import { createSinkMeter, createSourceMeter } from './carry-meters.ts'
import { createTypeTallies, type TypeSample } from './metrics/by-type.ts'
import type { PublisherSample } from './publisher-sample.ts'
import type { HandlerSample, InstanceSample, SinkSample, SourceSample } from './snapshot.ts'
import { stuckReason } from './stuck.ts'

/** What the relay tells: events it put into the log, and whether it leads. */
export interface RelayRecorder {
  sequenced(events: number): void
  leading(isLeader: boolean): void
  sink(name: string): SinkMeter
  source(name: string): SourceMeter
}

type Recorded = Pick<InstanceSample, 'handlers' | 'stages' | 'sequenced' | 'leader'> & {
  readonly sinks: readonly SinkSample[]
  readonly sources: readonly SourceSample[]
  readonly publishers: readonly PublisherSample[]
}

export interface Recorder extends HandleRecorder, RelayRecorder {
  /** A publisher of this process, which counts by itself. */
  publisher(sample: () => PublisherSample): void
  /** Everything so far, cumulative since the process started; histograms encoded. */
  sample(): Recorded
  /** What each handler did with each type of event, cumulative. */
  types(): readonly TypeSample[]
}

interface Counters {
  queued: number
  inFlight: number
  handled: number
  failed: number
  retried: number
  dead: number
  skipped: number
  paused: boolean
  broken: boolean
  health: HandlerSample['health']
  lastError?: string
  unhealthy: string | undefined
  unwritten: Unwritable | undefined
}

interface Stages {
  readonly relay: Histogram
  readonly deliver: Histogram
  readonly queue: Histogram
  readonly handle: Histogram
}

/** Counts in memory; nothing here waits or allocates for an event. */
export function createRecorder(): Recorder {
  const stages: Stages = {
    relay: createHistogram(),
    deliver: createHistogram(),
    queue: createHistogram(),
    handle: createHistogram(),
  }
  const samplers = new Set<() => HandlerSample>()
  const typeSamplers: (() => readonly TypeSample[])[] = []
  const sinks: (() => SinkSample)[] = []
  const sources: (() => SourceSample)[] = []
  const publishers: (() => PublisherSample)[] = []
  let sequenced = 0
  let leader = false
  return {
    handler(identity) {
      const tallies = createTypeTallies(identity.handler, identity.group)
      const { meter, sample } = createMeter(identity, stages, tallies)
      samplers.add(sample)
      typeSamplers.push(tallies.sample)
      return { ...meter, ended: () => void samplers.delete(sample) }
    },
    sequenced(events) {
      sequenced += events
    },
    sink(name) {
      const { meter, sample } = createSinkMeter(name)
      sinks.push(sample)
      return meter
    },
    source(name) {
      const { meter, sample } = createSourceMeter(name)
      sources.push(sample)
      return meter
    },
    publisher(sample) {
      publishers.push(sample)
    },
    leading(isLeader) {
      leader = isLeader
    },
    sample: () => ({
      handlers: [...samplers].map((sample) => sample()),
      stages: {
        relay: stages.relay.encode(),
        deliver: stages.deliver.encode(),
        queue: stages.queue.encode(),
        handle: stages.handle.encode(),
      },
      sequenced,
      leader,
      sinks: sinks.map((sample) => sample()),
      sources: sources.map((sample) => sample()),
      publishers: publishers.map((sample) => sample()),
    }),
    types: () => typeSamplers.flatMap((sample) => sample()),
  }
}

function createMeter(
  identity: HandlerIdentity,
  stages: Stages,
  tallies: ReturnType<typeof createTypeTallies>,
): { meter: Omit<HandlerMeter, 'ended'>; sample: () => HandlerSample } {
  const runTime = createHistogram()
  const endToEnd = createHistogram()
  const counters: Counters = {
    queued: 0,
    inFlight: 0,
    handled: 0,
    failed: 0,
    retried: 0,
    dead: 0,
    skipped: 0,
    paused: false,
    broken: false,
    health: 'healthy',
    unhealthy: undefined,
    unwritten: undefined,
  }
  const recordTimes = (times: HandledTimes) => {
    runTime.record(times.runUs)
    stages.queue.record(times.queueUs)
    stages.handle.record(times.handleUs)
    if (times.endToEndUs !== undefined) endToEnd.record(times.endToEndUs)
    if (times.relayUs !== undefined) stages.relay.record(times.relayUs)
    if (times.deliverUs !== undefined) stages.deliver.record(times.deliverUs)
  }
  const meter: Omit<HandlerMeter, 'ended'> = {
    taken(count) {
      counters.queued += count
    },
    started(count) {
      counters.queued -= count
      counters.inFlight += count
    },
    finished(count) {
      counters.inFlight -= count
    },
    returned(count) {
      counters.queued -= count
    },
    handled(times, type) {
      counters.handled += 1
      recordTimes(times)
      if (type === undefined) return
      const tally = tallies.of(type)
      tally.handled += 1
      tally.runUs += times.runUs
    },
    failed(message, type) {
      counters.failed += 1
      counters.lastError = message
      if (type !== undefined) tallies.of(type).failed += 1
    },
    retried() {
      counters.retried += 1
    },
    dead(type) {
      counters.dead += 1
      if (type !== undefined) tallies.of(type).dead += 1
    },
    skipped(count) {
      counters.skipped += count
    },
    paused(state) {
      counters.paused = state
    },
    breaker(isOpen) {
      counters.broken = isOpen
    },
    health(state) {
      counters.health = state
    },
    unhealthy(reason) {
      counters.unhealthy = reason
    },
    unwritten(oldest) {
      counters.unwritten = oldest
    },
  }
  const sample = (): HandlerSample => {
    const { unhealthy: checked, unwritten, ...counted } = counters
    const stuckMs = unwritten && Math.round(performance.now() - unwritten.sinceMs)
    const unhealthy = checked ?? (unwritten && stuckReason(stuckMs ?? 0, unwritten.error))
    const own = unhealthy === undefined ? {} : { unhealthy, health: 'failing' as const }
    return {
      ...identity,
      ...counted,
      ...own,
      ...(stuckMs === undefined ? {} : { stuckMs }),
      runTime: runTime.encode(),
      endToEnd: endToEnd.encode(),
    }
  }
  return { meter, sample }
}
