import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../core/backoff.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { PublishConfig } from '../core/publish-options.ts'
import type { PublishOutcome } from './outcome.ts'
import type { Pipeline } from './pipeline.ts'
import { full } from './refusals.ts'
import { roughBytes } from './rough-bytes.ts'

export interface OpeningOptions {
  /** Throws `connect` while its server is away: then it is asked again. */
  open(): Promise<Pipeline>
  /** As far as it is known; `open` may learn more. */
  config(): PublishConfig
  readonly onError: (error: EvtError, event: NewEvent) => void
}

/** A pipeline that is opened by the first event; what comes meanwhile waits, in its order and within the bound. */
export function createOpeningPipeline({ open, config, onError }: OpeningOptions): Pipeline {
  let opening: Promise<Pipeline> | undefined
  let opened: Pipeline | undefined
  let closing: Promise<void> | undefined
  const waiting = { queued: 0, queuedBytes: 0 }

  async function openPatiently(): Promise<Pipeline> {
    const startMs = performance.now()
    for (let failures = 1; ; failures++) {
      try {
        opened = await open()
        return opened
      } catch (thrown) {
        const isAway = thrown instanceof EvtError && thrown.code === 'connect'
        const { timeoutMs, retry } = config()
        if (!isAway || closing || performance.now() >= startMs + timeoutMs) throw thrown
        await delay(backoffMs({ backoff: 'exponential', ...retry }, failures, Math.random()))
      }
    }
  }

  function demand(): Promise<Pipeline> {
    opening ??= openPatiently().catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }

  function refuse(thrown: unknown, event: NewEvent): PublishOutcome {
    const error = thrown instanceof EvtError ? thrown : new EvtError('internal', toError(thrown).message)
    try {
      onError(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
    return { state: 'refused', id: event?.id, error }
  }

  async function publishWhenOpen(event: NewEvent): Promise<PublishOutcome> {
    const bytes = roughBytes(event)
    waiting.queued += 1
    waiting.queuedBytes += bytes
    try {
      const pipeline = await demand()
      return pipeline.publish(event)
    } catch (thrown) {
      return refuse(thrown, event)
    } finally {
      waiting.queued -= 1
      waiting.queuedBytes -= bytes
    }
  }

  return {
    publish(event) {
      if (opened && waiting.queued === 0) return opened.publish(event)
      if (closing)
        return Promise.resolve(refuse(new EvtError('closed', 'cannot publish: the publisher was closed'), event))
      const { most } = config()
      if (waiting.queued < most.events && waiting.queuedBytes < most.bytes) return publishWhenOpen(event)
      return Promise.resolve(refuse(full(event.type, waiting), event))
    },
    async flush() {
      await opening?.catch(() => {})
      await opened?.flush()
    },
    close(options) {
      closing ??= (async () => {
        await opening?.catch(() => {})
        await opened?.close(options)
      })()
      return closing
    },
  }
}
