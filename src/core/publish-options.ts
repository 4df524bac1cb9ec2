import { parseDuration } from './duration.ts'
import { EvtError, toError } from './errors.ts'
import { parseCount, parseSize } from './quantity.ts'

/** How a publisher works outside of transactions. */
export interface PublishOptions {
  /** A batch leaves when it is full or its first event has waited; default 500 events, and no wait beyond the batch before it. */
  readonly batch?: { readonly size?: number | undefined; readonly wait?: string | undefined } | undefined
  /**
   * The most that leaves in a second, `'1000/s'`; default: no bound. What comes faster waits in its queue. `burst` may leave at once
   * (default: one second's events); `bypass`: critical events that may leave beyond the rate in a second, default a tenth of it.
   */
  readonly rate?: number | string | undefined
  readonly burst?: number | string | undefined
  readonly bypass?: number | string | undefined
  /**
   * What this publisher remembers, so that the same event twice is published once: by the ids that events bring along (default), or by
   * their type, subject and content. Default the last 10,000 of an hour. `false`: nothing.
   */
  readonly duplicates?:
    | false
    | {
        readonly by?: 'id' | 'content' | undefined
        readonly window?: string | undefined
        readonly count?: number | undefined
      }
    | undefined
  /**
   * Looks at the sequence numbers of each subject. What was there is refused. After a gap, events are published all the same (`skip`), wait for
   * what is missing (`wait`, default '1s' long), or become dead letters. Default: nobody looks.
   */
  readonly sequence?: { readonly gaps: 'skip' | 'wait' | 'dead-letter'; readonly wait?: string | undefined } | undefined
  /** What may wait in memory; above it events are refused. Default 100,000 events and 64 MiB. */
  readonly most?:
    | { readonly events?: number | string | undefined; readonly bytes?: number | string | undefined }
    | undefined
  /** How long an event is tried that gets no answer; default '30s'. */
  readonly timeout?: string | undefined
  /** Bounds of the waits between tries, with full jitter; default from '50ms', doubling up to '1s'. */
  readonly retry?: { readonly initial?: string | undefined; readonly max?: string | undefined } | undefined
  /** Data above this size travels as gzip, on transports; default: never. */
  readonly compress?: number | string | undefined
  /** Whether what is refused becomes a dead letter, where there is a place for it; default true. */
  readonly deadLetters?: boolean | undefined
}

export interface RateLimit {
  readonly perSecond: number
  readonly burst: number
  readonly bypassPerSecond: number
}

export interface PublishConfig {
  readonly batch: { readonly size: number; readonly waitMs: number }
  readonly rate: RateLimit | undefined
  readonly duplicates: { readonly by: 'id' | 'content'; readonly windowMs: number; readonly count: number } | undefined
  readonly sequence: { readonly gaps: 'skip' | 'wait' | 'dead-letter'; readonly waitMs: number } | undefined
  readonly most: { readonly events: number; readonly bytes: number }
  readonly timeoutMs: number
  readonly retry: { readonly initialMs: number; readonly maxMs: number }
  readonly compressBytes: number
  readonly deadLetters: boolean
}

const largestBatch = 10_000

/** With the defaults. Throws EvtError('config') naming the setting. */
export function resolvePublish(options: PublishOptions = {}): PublishConfig {
  const { batch = {}, duplicates = {}, sequence, most = {}, retry = {} } = options
  const config: PublishConfig = {
    batch: {
      size: whole('batch.size', batch.size ?? 500, largestBatch),
      waitMs: span('batch.wait', batch.wait ?? '0', 0),
    },
    rate: rateOf(options),
    duplicates: duplicates === false ? undefined : windowOf(duplicates),
    sequence: sequence && {
      gaps: oneOf('sequence.gaps', sequence.gaps, ['skip', 'wait', 'dead-letter'] as const),
      waitMs: span('sequence.wait', sequence.wait ?? '1s'),
    },
    most: {
      events: whole('most.events', most.events ?? 100_000),
      bytes: read('most.bytes', most.bytes ?? 64 * 1024 * 1024, parseSize),
    },
    timeoutMs: span('timeout', options.timeout ?? '30s'),
    retry: { initialMs: span('retry.initial', retry.initial ?? '50ms'), maxMs: span('retry.max', retry.max ?? '1s') },
    compressBytes: options.compress === undefined ? Infinity : read('compress', options.compress, parseSize),
    deadLetters: options.deadLetters ?? true,
  }
  return config
}

function windowOf({
  by = 'id',
  window = '1h',
  count = 10_000,
}: Exclude<PublishOptions['duplicates'], false | undefined>) {
  return {
    by: oneOf('duplicates.by', by, ['id', 'content'] as const),
    windowMs: span('duplicates.window', window),
    count: whole('duplicates.count', count),
  }
}

function rateOf({ rate, burst, bypass }: PublishOptions): RateLimit | undefined {
  if (rate === undefined) {
    if (burst === undefined && bypass === undefined) return undefined
    throw unfit(burst === undefined ? 'bypass' : 'burst', 'there is no rate', "set rate, as '1000/s'")
  }
  const perSecond = perSecondOf('rate', rate)
  if (perSecond < 1) throw unfit('rate', 'it must be at least 1/s')
  return {
    perSecond,
    burst: whole('burst', burst ?? Math.ceil(perSecond)),
    bypassPerSecond: bypass === undefined ? perSecond / 10 : perSecondOf('bypass', bypass),
  }
}

function perSecondOf(name: string, given: number | string): number {
  return typeof given === 'number'
    ? read(name, String(given), parseCount)
    : read(name, given.replace(/\/s$/, ''), parseCount)
}

function whole(name: string, given: number | string, most = Number.MAX_SAFE_INTEGER): number {
  const count = read(name, String(given), parseCount)
  if (count >= 1 && count <= most) return count
  throw unfit(name, most === Number.MAX_SAFE_INTEGER ? 'it must be at least 1' : `it must be from 1 to ${most}`)
}

function span(name: string, given: string, least = 1): number {
  const ms = read(name, given, parseDuration)
  if (ms >= least) return ms
  throw unfit(name, 'it must be at least 1ms')
}

function read(name: string, given: number | string, parse: (text: string) => number): number {
  try {
    return parse(String(given))
  } catch (error) {
    throw unfit(name, toError(error).message.replace(/^cannot [^:]*: /, ''))
  }
}

function oneOf<const C extends string>(name: string, given: string, choices: readonly C[]): C {
  const found = choices.find((choice) => choice === given)
  if (found !== undefined) return found
  throw unfit(name, `it is none of ${choices.join(', ')}`)
}

const unfit = (name: string, reason: string, hint?: string) =>
  new EvtError('config', `cannot use publish.${name}: ${reason}`, hint === undefined ? {} : { hint })
