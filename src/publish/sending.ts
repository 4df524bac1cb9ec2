import { createAccess, isDenied } from '../core/access.ts'
import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import { type PublishConfig, type PublishOptions, resolvePublish } from '../core/publish-options.ts'
import type { PublisherSample } from '../watch/publisher-sample.ts'
import { createOpeningPipeline } from './opening-pipeline.ts'
import type { PublishOutcome } from './outcome.ts'
import type { Pipeline } from './pipeline.ts'
import { type PublishedAll, publishAll } from './publish-all.ts'
import { createPublishMeter, type PublishMeter, samplePublisher } from './publish-meter.ts'
import { notAnEvent } from './refusals.ts'

export interface SendingOptions {
  /** Who publishes: what `source` says when an event does not. */
  readonly source: string
  /** Patterns of the types that it may publish; another one is refused. Default: everything. */
  readonly publishes?: readonly string[]
  /** Patterns of types whose draft contracts may be published. */
  readonly drafts?: readonly string[]
  /** How `send` and `sendAll` work: batches, rate, duplicates, order, bounds. */
  readonly settings?: PublishOptions
  /** Everything that `send` and `sendAll` did not publish, whatever is done with the outcome. */
  readonly onError?: (error: EvtError, event: NewEvent) => void
}

/** Publishing outside of transactions. */
export interface Sending {
  /**
   * In batches with others: resolves to what became of it when the store or the broker has it, or has refused it; never throws, never rejects.
   * A subject's events keep their order. What is refused for its own sake becomes a dead letter there. Waiting for outcomes is the
   * backpressure: above 100,000 events or 64 MiB that wait, further ones are refused.
   */
  send(event: NewEvent): Promise<PublishOutcome>
  /** All of them, pulled as they are taken; how many it has, and the outcomes of the others. */
  sendAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<PublishedAll>
  /** Resolves when everything that was sent until now has its outcome. */
  flush(): Promise<void>
  /** Of `send` and `sendAll`, since the start. */
  stats(): PublisherSample
  /** Flushes what was sent; after the grace, default '30s', the rest is refused or unknown. Idempotent. */
  close(options?: { readonly grace?: string }): Promise<void>
}

export interface OpenPipelineOptions {
  readonly config: PublishConfig
  readonly meter: PublishMeter
  readonly onError: (error: EvtError, event: NewEvent) => void
}

/** What stands at the end. */
export interface SendingEnd {
  /** What the configuration says; before it, what the options say. Asked once, by the first event. Throws `config`. */
  settings?(): Promise<PublishOptions>
  /** Asked by the first event. Throws `connect` while its server is away: then it is asked again. */
  open(options: OpenPipelineOptions): Promise<Pipeline>
  /** Writes down that a rule refused an event. */
  denied?(error: EvtError, type: string): Promise<unknown>
  /** Once, after the last outcome. */
  release(): Promise<unknown>
}

export function createSending(options: SendingOptions, end: SendingEnd): Sending {
  const access = createAccess({ name: options.source, publishes: options.publishes })
  const meter = createPublishMeter()
  let config = resolvePublish(options.settings)
  let configured: Promise<void> | undefined
  const onError = options.onError ?? (() => {})
  const configure = async () => {
    config = resolvePublish({ ...(await end.settings?.()), ...options.settings })
  }
  const open = async () => {
    configured ??= configure()
    await configured
    return end.open({ config, meter, onError })
  }
  const pipeline = createOpeningPipeline({ open, config: () => config, onError })
  let closing: Promise<void> | undefined

  const send = (event: NewEvent): Promise<PublishOutcome> => {
    if (!access) return pipeline.publish(event)
    try {
      access.assertPublish(event.type)
    } catch (thrown) {
      return refuse(event, thrown)
    }
    return pipeline.publish(event)
  }

  async function refuse(event: NewEvent, thrown: unknown): Promise<PublishOutcome> {
    const error = thrown instanceof EvtError ? thrown : notAnEvent(thrown)
    if (isDenied(error)) await end.denied?.(error, event.type).catch(() => {})
    meter.refused += 1
    try {
      onError(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
    return { state: 'refused', id: event?.id, error }
  }

  return {
    send,
    sendAll: (events) => publishAll(events, send),
    flush: pipeline.flush,
    stats: () => samplePublisher(options.source, meter),
    close({ grace = '30s' } = {}) {
      closing ??= (async () => {
        await pipeline.close({ graceMs: parseDuration(grace) })
        await end.release()
      })()
      return closing
    },
  }
}
