import { createHistogram, type Histogram, histogramBytes } from '../core/histogram.ts'

/** What became of event k, as the generator knows it. */
export const sendState = { unsent: 0, sent: 1, accepted: 2, rejected: 3, unknown: 4 } as const

/** Places of single numbers. */
const counterAt = {
  sent: 0,
  settled: 1,
  /** Sent more than 10 ms after they were due. */
  late: 2,
  /** Most events sent in a tenth of a second, as a rate. */
  peakPerSecond: 3,
  /** The first event that counts for latency. */
  measuredFrom: 4,
} as const
export type Counter = keyof typeof counterAt

/** Memory that the generator's thread writes and the main thread reads: no message an event. */
export interface Shared {
  readonly buffers: SharedBuffers
  /** µs on the run's clock: handed to the producer, and acknowledged; 0 until then. */
  readonly sentUs: Float64Array
  readonly settledUs: Float64Array
  readonly states: Uint8Array
  /** Measured events only: due → sent, due → acknowledged. */
  readonly sendLag: Histogram
  readonly accept: Histogram
  get(counter: Counter): number
  set(counter: Counter, value: number): void
}

export interface SharedBuffers {
  readonly sentUs: SharedArrayBuffer
  readonly settledUs: SharedArrayBuffer
  readonly states: SharedArrayBuffer
  readonly sendLag: SharedArrayBuffer
  readonly accept: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
}

export function createShared(capacity: number): Shared {
  return attachShared({
    sentUs: new SharedArrayBuffer(capacity * 8),
    settledUs: new SharedArrayBuffer(capacity * 8),
    states: new SharedArrayBuffer(capacity),
    sendLag: new SharedArrayBuffer(histogramBytes),
    accept: new SharedArrayBuffer(histogramBytes),
    counters: new SharedArrayBuffer(Object.keys(counterAt).length * 8),
  })
}

export function attachShared(buffers: SharedBuffers): Shared {
  const counters = new Float64Array(buffers.counters)
  return {
    buffers,
    sentUs: new Float64Array(buffers.sentUs),
    settledUs: new Float64Array(buffers.settledUs),
    states: new Uint8Array(buffers.states),
    sendLag: createHistogram(buffers.sendLag),
    accept: createHistogram(buffers.accept),
    get: (counter) => counters[counterAt[counter]] ?? 0,
    set(counter, value) {
      counters[counterAt[counter]] = value
    },
  }
}
