import { createHistogram } from '../core/histogram.ts'
import type { SinkMeter, SourceMeter } from '../relay/relay-recorder.ts'
import type { SinkSample, SourceSample } from './snapshot.ts'

export function createSinkMeter(sink: string): { readonly meter: SinkMeter; sample(): SinkSample } {
  const latency = createHistogram()
  const counts = { carried: 0, dead: 0, looped: 0 }
  let [position, head] = [0n, 0n]
  let problem: string | undefined
  return {
    meter: {
      carried(latencyUs) {
        counts.carried += 1
        latency.record(Math.max(0, latencyUs))
      },
      dead() {
        counts.dead += 1
      },
      looped() {
        counts.looped += 1
      },
      reached(at, of) {
        position = at
        head = of
      },
      waiting(reason) {
        problem = reason
      },
    },
    sample: () => ({
      sink,
      ...counts,
      position: String(position),
      lagEvents: head > position ? Number(head - position) : 0,
      latency: latency.encode(),
      ...(problem === undefined ? {} : { waitsFor: problem }),
    }),
  }
}

export function createSourceMeter(source: string): { readonly meter: SourceMeter; sample(): SourceSample } {
  const counts = { taken: 0, dead: 0, looped: 0 }
  let problem: string | undefined
  return {
    meter: {
      taken(events) {
        counts.taken += events
      },
      dead() {
        counts.dead += 1
      },
      looped() {
        counts.looped += 1
      },
      waiting(reason) {
        problem = reason
      },
    },
    sample: () => ({ source, ...counts, ...(problem === undefined ? {} : { waitsFor: problem }) }),
  }
}
