import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../core/backoff.ts'
import { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { PublishConfig } from '../core/publish-options.ts'
import type { PublishOutcome } from './outcome.ts'
import type { PublishMeter } from './publish-meter.ts'
import { roughBytes } from './rough-bytes.ts'

export interface KeyQueueOptions {
  /** Undefined when these events need none. Throws `connect` while the store with the keys is away. */
  load(events: readonly NewEvent[]): Promise<void> | undefined
  /** Lets an event in whose keys are there. */
  admit(event: NewEvent): Promise<PublishOutcome>
  refuse(thrown: unknown, event: NewEvent): Promise<PublishOutcome>
  /** Its time is over, and the store with the keys is still away. */
  giveUp(error: EvtError, event: NewEvent): PublishOutcome
  readonly config: Pick<PublishConfig, 'timeoutMs' | 'retry'>
  readonly meter: Pick<PublishMeter, 'queued' | 'queuedBytes'>
  readonly signal: AbortSignal
}

/** Events whose fields are to be sealed wait here for the keys of their subjects, and what comes behind them waits with them. */
export interface KeyQueue {
  readonly isEmpty: boolean
  add(event: NewEvent): Promise<PublishOutcome>
  /** Resolves when nothing waits. */
  idle(): Promise<void>
}

interface Waiting {
  readonly event: NewEvent
  readonly bytes: number
  readonly untilMs: number
  readonly resolve: (outcome: PublishOutcome | Promise<PublishOutcome>) => void
}

/** Keys asked for in one round trip. */
const mostAtOnce = 500

export function createKeyQueue(options: KeyQueueOptions): KeyQueue {
  const { load, admit, refuse, giveUp, config, meter, signal } = options
  const waiting: Waiting[] = []
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    let failures = 0
    while (waiting.length > 0) {
      const batch = waiting.slice(0, mostAtOnce)
      try {
        await load(batch.map(({ event }) => event))
        failures = 0
        for (const _ of batch) leave(admitted)
      } catch (thrown) {
        if (isAway(thrown)) await waitForStore(thrown, ++failures)
        else await singly(batch.length)
      }
    }
  }

  /** The first of those that wait; in the same turn as it is let in, so that nothing overtakes it. */
  function leave(become: (event: NewEvent) => PublishOutcome | Promise<PublishOutcome>): void {
    const { event, bytes, resolve } = waiting.shift() as Waiting
    meter.queued -= 1
    meter.queuedBytes -= bytes
    resolve(become(event))
  }

  function admitted(event: NewEvent): Promise<PublishOutcome> {
    try {
      return admit(event)
    } catch (thrown) {
      return refuse(thrown, event)
    }
  }

  async function waitForStore(thrown: EvtError, failures: number): Promise<void> {
    const pauseMs = backoffMs({ backoff: 'exponential', ...config.retry }, failures, Math.random())
    await delay(pauseMs, undefined, { signal }).catch(() => {})
    const nowMs = performance.now()
    while (waiting[0] && (signal.aborted || waiting[0].untilMs <= nowMs)) leave((event) => giveUp(thrown, event))
  }

  /** One whose key cannot be had must not take the others along. */
  async function singly(count: number): Promise<void> {
    for (let n = 0; n < count && waiting[0]; n++) {
      try {
        await load([waiting[0].event])
        leave(admitted)
      } catch (thrown) {
        if (isAway(thrown)) return
        leave((event) => refuse(thrown, event))
      }
    }
  }

  return {
    get isEmpty() {
      return waiting.length === 0
    },
    add(event) {
      const bytes = roughBytes(event)
      meter.queued += 1
      meter.queuedBytes += bytes
      return new Promise((resolve) => {
        waiting.push({ event, bytes, untilMs: performance.now() + config.timeoutMs, resolve })
        running ??= run().finally(() => {
          running = undefined
        })
      })
    },
    idle: async () => running,
  }
}

const isAway = (thrown: unknown): thrown is EvtError =>
  thrown instanceof EvtError && (thrown.code === 'connect' || thrown.code === 'timeout')
