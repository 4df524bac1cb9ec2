import { v7 as uuid7 } from 'uuid'
import { checksumOf } from '../core/checksum.ts'
import type { EncodedEvent } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import { type EvtEvent, type NewEvent, priorities } from '../core/event.ts'
import type { PublishConfig } from '../core/publish-options.ts'
import type { Published } from '../transports/transport.ts'
import { createDuplicateWindow, type Known } from './duplicate-window.ts'
import { createKeyQueue } from './key-queue.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import type { PublishOutcome } from './outcome.ts'
import type { Outgoing, PublishEnd } from './publish-end.ts'
import type { PublishMeter } from './publish-meter.ts'
import { type PrepareOptions, prepareEvent } from './publisher.ts'
import { cannotHold, full, isItsOwn, isOutOfSequence, notAnEvent, otherBytes, outOfSequence } from './refusals.ts'
import { createSubjectSequences } from './subject-sequences.ts'
import { createTokenBucket } from './token-bucket.ts'

export interface PipelineOptions<P> {
  readonly end: PublishEnd<P>
  readonly preparing: PrepareOptions
  readonly config: PublishConfig
  readonly meter: PublishMeter
  /** Everything that was not published, whatever the caller does with the outcome. */
  readonly onError: (error: EvtError, event: NewEvent) => void
}

export interface Pipeline {
  /** Never throws, never rejects. */
  publish(event: NewEvent): Promise<PublishOutcome>
  /** Resolves when everything that was published until now has its outcome. */
  flush(): Promise<void>
  /** Flushes; after `graceMs` (default 30,000) the rest is refused or unknown. What is published later is refused. Idempotent. */
  close(options?: { readonly graceMs?: number }): Promise<void>
}

interface Job<P> extends Outgoing<P> {
  readonly event: NewEvent
  readonly queue: string
  readonly startMs: number
  readonly resolve: (outcome: PublishOutcome) => void
  /** 0 where nobody looks at it. */
  readonly sequence: number
  known: Known | undefined
}

/**
 * The way of an event, in this order: keys of its subject → contract → encryption → size → checksum → duplicate window → sequence of its
 * subject → queue by priority, out of which the rate lets it → batch → store or transport → confirmation. All in memory, bounded.
 */
export function createPipeline<P>(options: PipelineOptions<P>): Pipeline {
  const { end, preparing, config, meter } = options
  const { guard, get } = preparing.registry
  const ending = new AbortController()
  const outbounds = new Map<string, Outbound<P>>()
  const bucket = config.rate && createTokenBucket(config.rate)
  const window = config.duplicates && createDuplicateWindow(config.duplicates)
  const byContent = config.duplicates?.by === 'content'
  const sequences = config.sequence && createSubjectSequences<Job<P>>({ config: config.sequence, go: goHeld })
  const others = new Set<Promise<unknown>>()
  const keys = createKeyQueue({
    load: (events) => guard?.load(events, get),
    admit,
    refuse: refuseThrown,
    giveUp,
    config,
    meter,
    signal: ending.signal,
  })
  let closing: Promise<void> | undefined

  function outboundOf(name: string): Outbound<P> {
    const known = outbounds.get(name)
    if (known) return known
    const settle = (outgoing: Outgoing<P>, result: Published) => onResult(outgoing as Job<P>, result)
    const made = createOutbound<P>({ send: end.send, name, config, bucket, meter, signal: ending.signal, settle })
    outbounds.set(name, made)
    return made
  }

  function admit(event: NewEvent): Promise<PublishOutcome> {
    const encoded = prepareEvent(event, preparing)
    const { payload, bytes } = end.encode(encoded)
    const nowMs = performance.now()
    const isForeign = event.id !== undefined
    const checksum = byContent ? plainChecksum(event, encoded) : encoded.checksum
    const key = window && (byContent ? contentKey(encoded, checksum) : isForeign ? encoded.id : undefined)
    const known = key === undefined ? undefined : window?.find(key, nowMs)
    if (known) return follow(known, { ...encoded, checksum })
    return new Promise((resolve) => {
      const job: Job<P> = {
        id: encoded.id,
        key: encoded.subject ?? null,
        level: priorities.indexOf(encoded.priority),
        payload,
        bytes,
        sinceMs: nowMs,
        isForeign,
        isAgain: false,
        event,
        queue: end.queueOf(encoded.type),
        startMs: nowMs,
        resolve,
        sequence: sequences && encoded.subject !== undefined ? (encoded.sequence ?? 0) : 0,
        known: key === undefined ? undefined : window?.add(key, checksum, nowMs),
      }
      meter.queued += 1
      meter.queuedBytes += bytes
      if (job.sequence > 0) inSequence(job)
      else outboundOf(job.queue).add(job)
    })
  }

  /** What is sealed is of other bytes each time. */
  function plainChecksum(event: NewEvent, { checksum }: EncodedEvent): string {
    return guard?.needsKeys(event, get) ? checksumOf(JSON.stringify(event.data)) : checksum
  }

  /** What becomes of the first becomes of it. */
  function follow(known: Known, { id, checksum, type }: { id: string; checksum: string; type: string }) {
    if (known.checksum !== checksum) throw otherBytes(type, id)
    meter.duplicated += 1
    if (known.followers === undefined) return Promise.resolve<PublishOutcome>({ state: 'duplicate', id })
    return new Promise<PublishOutcome>((resolve) => {
      known.followers?.push((first) => resolve('error' in first ? { ...first, id } : { state: 'duplicate', id }))
    })
  }

  function inSequence(job: Job<P>): void {
    const finding = sequences?.check(job)
    if (finding === 'held') return
    if (finding === 'late' || finding === 'missing') {
      meter[finding === 'late' ? 'sequenceLate' : 'sequenceGaps'] += 1
      onResult(job, { state: 'refused', error: outOfSequence(job, finding) })
      return
    }
    if (finding === 'gap') meter.sequenceGaps += 1
    outboundOf(job.queue).add(job)
    sequences?.proceed(job.key as string)
  }

  function goHeld(job: Job<P>, afterGap: boolean): void {
    if (afterGap) meter.sequenceGaps += 1
    outboundOf(job.queue).add(job)
  }

  function onResult(job: Job<P>, result: Published): void {
    const outcome = outcomeOf(job.id, result)
    if (!('error' in outcome)) {
      if (outcome.state === 'stored') meter.published += 1
      else meter.duplicated += 1
      settle(job, outcome)
      return
    }
    if (job.sequence > 0 && !isOutOfSequence(outcome.error)) sequences?.forget(job.key as string)
    const { error } = outcome
    tell(error, job.event)
    if (outcome.state === 'refused') meter.refused += 1
    else meter.failed += 1
    const burying = outcome.state === 'refused' ? bury(error, job.event, job.id) : undefined
    if (!burying) settle(job, outcome)
    else void burying.then((isKept) => settle(job, refusedAs({ id: job.id, error }, isKept)))
  }

  function settle(job: Job<P>, outcome: PublishOutcome): void {
    meter.queued -= 1
    meter.queuedBytes -= job.bytes
    meter.latency.record((performance.now() - job.startMs) * 1_000)
    if (job.known) window?.settle(job.known, outcome)
    job.resolve(outcome)
  }

  /** Keeps it as a dead letter, where there is a place; undefined where there is none. */
  function bury(error: EvtError, event: NewEvent, id: string): Promise<boolean> | undefined {
    if (!config.deadLetters || !end.bury || !isItsOwn(error)) return undefined
    const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(config.timeoutMs)])
    const kept = end.bury({ id, event, error }, signal).catch(() => false)
    finish(kept)
    return kept
  }

  function tell(error: EvtError, event: NewEvent): void {
    try {
      options.onError(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
  }

  /** Before it was let in. */
  function refuseThrown(thrown: unknown, event: NewEvent): Promise<PublishOutcome> {
    const error = thrown instanceof EvtError ? thrown : notAnEvent(thrown)
    const id = idOf(event)
    meter.refused += 1
    tell(error, event)
    const burying = isNamed(event) ? bury(error, event, id ?? uuid7()) : undefined
    if (!burying) return Promise.resolve({ state: 'refused', id, error })
    meter.queued += 1
    return burying.then((isKept) => {
      meter.queued -= 1
      return refusedAs({ id, error }, isKept)
    })
  }

  function refusedAs(
    refused: { readonly id: string | undefined; readonly error: EvtError },
    isKept: boolean,
  ): PublishOutcome {
    if (!isKept) return { state: 'refused', ...refused }
    meter.dead += 1
    return { state: 'refused', ...refused, isDeadLetter: true }
  }

  function finish(work: Promise<unknown>): void {
    others.add(work)
    void work.finally(() => others.delete(work))
  }

  /** Nothing of it has left: it may be published again under its id, if it has one. */
  function giveUp(error: EvtError, event: NewEvent): PublishOutcome {
    meter.failed += 1
    tell(error, event)
    return { state: 'unknown', id: idOf(event), error }
  }

  function assertRoom(event: NewEvent): void {
    if (closing) throw new EvtError('closed', `cannot publish ${event.type}: the publisher was closed`)
    if (meter.queued >= config.most.events || meter.queuedBytes >= config.most.bytes) throw full(event.type, meter)
    if (event.deliverAt !== undefined && !end.holds) throw cannotHold(event.type)
  }

  async function flush(): Promise<void> {
    do {
      await keys.idle()
      await Promise.all([...[...outbounds.values()].map((outbound) => outbound.idle()), ...others])
      // Events that wait for a number before theirs have a time-out of their own.
      if (sequences && meter.queued > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    } while (!keys.isEmpty || (sequences && meter.queued > 0) || others.size > 0)
  }

  return {
    publish(event) {
      try {
        assertRoom(event)
        return !keys.isEmpty || guard?.needsKeys(event, get) ? keys.add(event) : admit(event)
      } catch (thrown) {
        return refuseThrown(thrown, event)
      }
    },
    flush,
    close({ graceMs = 30_000 } = {}) {
      closing ??= (async () => {
        const overdue = setTimeout(() => ending.abort(new EvtError('closed', 'the publisher was closed')), graceMs)
        sequences?.release()
        await flush()
        clearTimeout(overdue)
      })()
      return closing
    },
  }
}

const contentKey = ({ type, tenant, subject }: EvtEvent, checksum: string) =>
  `${type}\n${tenant ?? ''}\n${subject ?? ''}\n${checksum}`

function outcomeOf(id: string, result: Published): PublishOutcome {
  if ('error' in result) return { ...result, id }
  return { state: result.state, id, ...(result.at === undefined ? {} : { at: result.at }) }
}

const idOf = (event: unknown) => {
  const id = (event as { readonly id?: unknown } | null | undefined)?.id
  return typeof id === 'string' ? id : undefined
}

const isNamed = (event: unknown) => {
  const type = (event as { readonly type?: unknown } | null | undefined)?.type
  return typeof type === 'string' && type !== ''
}
