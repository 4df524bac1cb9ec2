import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { currentTracing } from '../../watch/tracing/current.ts'
import type { RunTimes } from '../item.ts'
import { wallMs } from '../wall-clock.ts'
import { DirectContext } from './direct-context.ts'
import type { Job } from './direct-lane.ts'
import type { DirectRuntime } from './direct-runtime.ts'

export type DirectResult =
  | ({ readonly ok: true } & RunTimes)
  /** `interrupted`: the lane was lost or the process stops; the event is not to blame. */
  | ({ readonly ok: false; readonly why: 'threw' | 'interrupted'; readonly thrown: unknown } & RunTimes)

/**
 * Runs the handler once, within its time. A handler that hears neither the signal nor the time goes on by itself, and its next attempt
 * begins beside it: without a transaction there is nothing to fence it with.
 */
export function runDirect(
  runtime: DirectRuntime,
  jobs: readonly Job[],
  events: readonly EvtEvent[],
): Promise<DirectResult> {
  const tracing = currentTracing()
  if (!tracing) return attemptDirect(runtime, jobs, events)
  const { name: handler, service } = runtime.config
  const attempt = Math.max(...jobs.map((job) => job.attempt))
  return tracing.handled(
    { handler, service, topic: jobs[0]?.message.topic ?? '', attempt, events },
    (traceparent) =>
      attemptDirect(runtime, jobs, events.length === 1 ? events.map((event) => ({ ...event, traceparent })) : events),
    (result) => (result.ok ? undefined : result.thrown),
  )
}

async function attemptDirect(
  runtime: DirectRuntime,
  jobs: readonly Job[],
  events: readonly EvtEvent[],
): Promise<DirectResult> {
  const { config } = runtime
  const startedMs = wallMs()
  const began = performance.now()
  const attempt = Math.max(...jobs.map((job) => job.attempt))
  const context = new DirectContext({ runtime, events, attempt })
  const timesOf = () => ({ startedMs, runUs: (performance.now() - began) * 1000 })
  runtime.watchdog?.begun(config.name)
  try {
    const running = config.handle(events, context)
    if (isThenable(running)) await within(runtime, jobs, running)
    const published = DirectContext.published(context)
    if (published) await within(runtime, jobs, published)
    DirectContext.close(context, 'the handler has returned')
    return { ok: true, ...timesOf() }
  } catch (thrown) {
    const isInterrupted = thrown instanceof Interruption
    const reason = isInterrupted ? thrown.reason : thrown
    const hasToEnd = isInterrupted || thrown instanceof TimeOver
    DirectContext.close(context, 'its attempt has ended', hasToEnd ? { reason } : undefined)
    return { ok: false, why: isInterrupted ? 'interrupted' : 'threw', thrown: reason, ...timesOf() }
  } finally {
    runtime.watchdog?.ended(config.name)
  }
}

class TimeOver extends EvtError {
  constructor({ config }: DirectRuntime) {
    super('timeout', `${config.name} did not finish within ${config.timeoutMs} ms`)
    this.name = 'TimeoutError'
  }
}

class Interruption {
  readonly reason: unknown
  constructor(reason: unknown) {
    this.reason = reason
  }
}

/** A handler that never settles is left behind; what it throws later is nobody's. */
async function within(runtime: DirectRuntime, jobs: readonly Job[], work: PromiseLike<unknown>): Promise<void> {
  const owned = jobs[0]?.line.owned
  let timer: NodeJS.Timeout | undefined
  const here = { interrupt: (_reason: unknown) => {} }
  owned?.running.add(here)
  try {
    await new Promise<unknown>((resolve, reject) => {
      timer = setTimeout(() => reject(new TimeOver(runtime)), runtime.config.timeoutMs)
      here.interrupt = (reason) => reject(new Interruption(reason))
      work.then(resolve, reject)
      // Lost while the handler's first part ran, before anyone could interrupt it.
      if (owned?.closed) reject(new Interruption(owned.lane.lost.reason))
    })
  } finally {
    clearTimeout(timer)
    owned?.running.delete(here)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function'
}
