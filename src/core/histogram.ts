import { EvtError } from './errors.ts'

/**
 * Log-linear histogram of microseconds: 128 buckets per power of two, so that a percentile is off by less than 0.8 %;
 * below 128 µs every microsecond has its own bucket. Values of 2^40 µs (12 days) and more share the last bucket.
 * One writer; readers on other threads may see a sample a moment late. Histograms add up exactly.
 */
export interface Histogram {
  /** Samples of 0 and more. */
  readonly count: number
  /** Samples below 0 or not a number: evidence of a clock that jumped; in no other figure. */
  readonly negative: number
  /** µs; undefined without samples. Exact, except after `subtract`, where they are within 0.8 %. */
  readonly min: number | undefined
  readonly max: number | undefined
  readonly mean: number | undefined
  /** What `createHistogram` takes on another thread to look at the same samples. */
  readonly buffer: ArrayBufferLike
  record(us: number, count?: number): void
  /** Adds the samples of `other` to this one. */
  add(other: Histogram): void
  /** What was recorded since `earlier`, a copy of this histogram from before; a new histogram. */
  subtract(earlier: Histogram): Histogram
  /** The value at or below which a share `q` (0..1) of the samples lies, µs; undefined without samples. */
  percentile(q: number): number | undefined
  /** Non-empty buckets in rising order: whole microseconds `from`..`to`, both included. */
  buckets(): Iterable<{ readonly from: number; readonly to: number; readonly count: number }>
  /** Text for `decodeHistogram`: only non-empty buckets, as variable-length numbers, in base64. */
  encode(): string
}

const perOctave = 128
const lastOctave = 39
const bucketCount = (lastOctave - 5) * perOctave
const headerBytes = 64
/** Fields of the header, as float64: they outgrow 32 bits. */
const head = { count: 0, negative: 1, min: 2, max: 3, sum: 4 } as const

/** Size of the memory under one histogram, for a caller that shares it between threads. */
export const histogramBytes = headerBytes + bucketCount * 4

function indexOf(us: number): number {
  if (us < perOctave) return us | 0
  if (us >= 2 ** (lastOctave + 1)) return bucketCount - 1
  // Bit operations end at 31 bits; the upper octaves look like the lower ones after a division.
  if (us >= 2 ** 31) return indexOf(Math.floor(us / 512)) + 9 * perOctave
  const octave = 31 - Math.clz32(us)
  return (octave - 7) * perOctave + (us >>> (octave - 7))
}

function boundsOf(index: number): { from: number; to: number } {
  const octave = Math.max(0, Math.floor(index / perOctave) - 1)
  const width = 2 ** octave
  const from = (index - octave * perOctave) * width
  return { from, to: from + width - 1 }
}

/** Over `buffer` (of `histogramBytes`, perhaps shared), with the samples that it holds; or over new memory. */
export function createHistogram(buffer: ArrayBufferLike = new ArrayBuffer(histogramBytes)): Histogram {
  const header = new Float64Array(buffer, 0, headerBytes / 8)
  const counts = new Uint32Array(buffer, headerBytes, bucketCount)
  const field = (at: number) => header[at] ?? 0
  const known = (value: number) => (field(head.count) === 0 ? undefined : value)

  function widen(min: number, max: number, sum: number, count: number): void {
    const before = field(head.count)
    if (before === 0 || min < field(head.min)) header[head.min] = min
    if (before === 0 || max > field(head.max)) header[head.max] = max
    header[head.sum] = field(head.sum) + sum
    header[head.count] = before + count
  }

  const histogram: Histogram = {
    buffer,
    get count() {
      return field(head.count)
    },
    get negative() {
      return field(head.negative)
    },
    get min() {
      return known(field(head.min))
    },
    get max() {
      return known(field(head.max))
    },
    get mean() {
      return known(field(head.sum) / field(head.count))
    },
    record(us, count = 1) {
      if (!(us >= 0)) {
        header[head.negative] = field(head.negative) + count
        return
      }
      const index = indexOf(Math.floor(us + 0.5))
      counts[index] = (counts[index] ?? 0) + count
      widen(us, us, us * count, count)
    },
    add(other) {
      header[head.negative] = field(head.negative) + other.negative
      if (other.count === 0) return
      for (const bucket of other.buckets()) {
        const index = indexOf(bucket.from)
        counts[index] = (counts[index] ?? 0) + bucket.count
      }
      widen(other.min ?? 0, other.max ?? 0, (other.mean ?? 0) * other.count, other.count)
    },
    subtract: (earlier) => difference(histogram, earlier),
    percentile: (q) => percentileOf(histogram, q),
    *buckets() {
      for (let index = 0; index < bucketCount; index++) {
        const count = counts[index] ?? 0
        if (count > 0) yield { ...boundsOf(index), count }
      }
    },
    encode: () => encodeHistogram(histogram),
  }
  return histogram
}

interface Parts {
  readonly negative: number
  readonly min: number
  readonly max: number
  readonly sum: number
  readonly buckets: readonly { readonly from: number; readonly count: number }[]
}

function assemble(parts: Parts): Histogram {
  const histogram = createHistogram()
  const header = new Float64Array(histogram.buffer, 0, headerBytes / 8)
  const counts = new Uint32Array(histogram.buffer, headerBytes, bucketCount)
  let total = 0
  for (const { from, count } of parts.buckets) {
    counts[indexOf(from)] = count
    total += count
  }
  header.set([total, parts.negative, parts.min, parts.max, parts.sum])
  return histogram
}

function percentileOf(histogram: Histogram, q: number): number | undefined {
  const { count, min, max } = histogram
  if (min === undefined || max === undefined) return undefined
  // 0.99 * 1000 is a little more than 990 in binary; the next rank would be the wrong one.
  const rank = Math.max(1, Math.ceil(q * count - 1e-6))
  if (rank >= count) return max
  let below = 0
  for (const bucket of histogram.buckets()) {
    if (below + bucket.count >= rank) {
      const value = bucket.from + ((bucket.to - bucket.from) * (rank - below - 0.5)) / bucket.count
      return Math.min(max, Math.max(min, value))
    }
    below += bucket.count
  }
  return max
}

function difference(later: Histogram, earlier: Histogram): Histogram {
  const before = new Map<number, number>()
  for (const { from, count } of earlier.buckets()) before.set(from, count)
  const buckets = [...later.buckets()]
    .map((bucket) => ({ ...bucket, count: bucket.count - (before.get(bucket.from) ?? 0) }))
    .filter((bucket) => bucket.count > 0)
  return assemble({
    negative: Math.max(0, later.negative - earlier.negative),
    min: Math.max(buckets[0]?.from ?? 0, later.min ?? 0),
    max: Math.min(buckets.at(-1)?.to ?? 0, later.max ?? 0),
    sum: Math.max(0, (later.mean ?? 0) * later.count - (earlier.mean ?? 0) * earlier.count),
    buckets,
  })
}

const layoutVersion = 1

// Wire: u8 layout version · f64 min, max, sum (little endian) · varint negative · (varint gap to the bucket, varint count)*
function encodeHistogram(histogram: Histogram): string {
  const numbers: number[] = [histogram.negative]
  let previous = -1
  for (const { from, count } of histogram.buckets()) {
    const index = indexOf(from)
    numbers.push(index - previous, count)
    previous = index
  }
  const start = new DataView(new ArrayBuffer(25))
  start.setUint8(0, layoutVersion)
  start.setFloat64(1, histogram.min ?? 0, true)
  start.setFloat64(9, histogram.max ?? 0, true)
  start.setFloat64(17, (histogram.mean ?? 0) * histogram.count, true)
  return Buffer.concat([Buffer.from(start.buffer), Buffer.from(numbers.flatMap(varint))]).toString('base64')
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}

/** The inverse of `encode`. Throws `decode` when the text is not one of ours. */
export function decodeHistogram(text: string): Histogram {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < 26 || bytes[0] !== layoutVersion) throw unreadable('not an encoded histogram')
  const [negative = 0, ...pairs] = varints(bytes.subarray(25))
  const buckets: { from: number; count: number }[] = []
  let index = -1
  for (let at = 0; at < pairs.length; at += 2) {
    const gap = pairs[at] ?? 0
    const count = pairs[at + 1] ?? 0
    index += gap
    if (gap < 1 || count < 1 || index >= bucketCount) throw unreadable('a bucket is outside its range')
    buckets.push({ from: boundsOf(index).from, count })
  }
  const [min, max, sum] = [bytes.readDoubleLE(1), bytes.readDoubleLE(9), bytes.readDoubleLE(17)]
  return assemble({ negative, min, max, sum, buckets })
}

function varints(bytes: Uint8Array): number[] {
  const numbers: number[] = []
  let value = 0
  let scale = 1
  for (const byte of bytes) {
    value += (byte % 0x80) * scale
    if (value > Number.MAX_SAFE_INTEGER) throw unreadable('a number is too large')
    scale *= 0x80
    if (byte >= 0x80) continue
    numbers.push(value)
    value = 0
    scale = 1
  }
  if (scale !== 1) throw unreadable('it ends in the middle of a number')
  return numbers
}

const unreadable = (reason: string) => new EvtError('decode', `cannot read a histogram: ${reason}`)
